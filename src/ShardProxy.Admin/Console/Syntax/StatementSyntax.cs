namespace ShardProxy.Admin.Console.Syntax;

/// <summary>One statement of the console's grammar, for HELP, hints and docs/console.md.</summary>
/// <param name="Keywords">The words that begin it and name it, upper case.</param>
/// <param name="Syntax">The whole form, without semicolon.</param>
/// <param name="Summary">What it does, one sentence.</param>
/// <param name="IsAvailable">False when it parses but this version has nothing behind it.</param>
internal sealed record StatementSyntax(string Keywords, string Syntax, string Summary, bool IsAvailable = true);
