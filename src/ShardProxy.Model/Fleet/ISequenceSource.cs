namespace ShardProxy.Model.Fleet;

/// <summary>Numbers of the home node's sequences, for keys that an INSERT leaves to their default.</summary>
public interface ISequenceSource
{
    /// <summary>Draws numbers ahead. They are nobody else's from then on, used or not.</summary>
    /// <param name="sequence">Qualified and quoted.</param>
    /// <param name="role">Who must have the right to use the sequence; null when the table's right is enough, as with identity columns.</param>
    /// <param name="count">How many, at least one.</param>
    /// <returns>The numbers in the order drawn, at least one; fewer than asked for where the sequence ends before.</returns>
    /// <exception cref="SequenceException">The server's answer to a draw that fails.</exception>
    /// <exception cref="TimeoutException">The home node does not answer.</exception>
    ValueTask<long[]> DrawAsync(string sequence, string? role, int count, CancellationToken cancellationToken);
}

/// <summary>A sequence gives no number: PostgreSQL's own words, for the client.</summary>
/// <param name="sqlState">Its SQLSTATE.</param>
/// <param name="message">Its message.</param>
public sealed class SequenceException(string sqlState, string message) : Exception(message)
{
    public string SqlState { get; } = sqlState;
}
