namespace ShardProxy.DataPath.Login;

/// <summary>What is known of a name.</summary>
/// <param name="IsKnown">There is such a user.</param>
/// <param name="Secret">What its proof is checked against; null when it has none, and for unknown users.</param>
/// <param name="IsGuarded">Nobody but superusers of the home node and whoever configures the proxy can have set the secret.</param>
internal readonly record struct UserLookup(bool IsKnown, LoginSecret? Secret, bool IsGuarded);
