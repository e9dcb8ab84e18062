using System.Text;
using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Topology;

namespace ShardProxy.DataPath.Shadowing;

/// <summary>
/// Runs a sample on one node: as the client's user with the client's settings, in a read-only transaction of its own that is rolled back, with everything pinned
/// that decides how equal values are written. On connections that clients do not use, and not at all where somebody waits for one.
/// </summary>
internal sealed class ShadowReader(DataPathServices services, CancellationToken stop)
{
    /// <summary>For a connection and the answer together.</summary>
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(3);

    // Whatever the node or the client has for these would be told apart by the rows' text, or make the read wait for somebody's lock.
    private const string Pins =
        "SET LOCAL extra_float_digits = 3; SET LOCAL bytea_output = hex; SET LOCAL xmlbinary = base64; SET LOCAL lc_monetary = 'C'; SET LOCAL statement_timeout = 2000; SET LOCAL lock_timeout = 200";

    private static readonly string[] Shown = ["DateStyle", "IntervalStyle", "TimeZone"];
    private static readonly byte[] End = "ROLLBACK"u8.ToArray();

    /// <summary>The rows, or null when there are none to compare: an error, too many of them, no answer in time.</summary>
    public async Task<RowDigest?> ReadAsync(ShadowSample sample, Node node)
    {
        var pool = services.Pools.Get(node, new PoolKey(node.Id, sample.Database, sample.User, IsWorkspace: true));
        if (pool.Link.IsDown || pool.Link.Starved.Any)
        {
            return null;
        }

        using var limit = new CancellationTokenSource(Limit, services.Time);
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, stop);
        ServerConnection? server = null;
        try
        {
            server = await pool.LeaseAsync(joins: false, deadline.Token).ConfigureAwait(false);
            await using var giveUp = deadline.Token.Register(static s => ((ServerConnection)s!).Abort(), server).ConfigureAwait(false);
            return await RunAsync(server, sample).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or InvalidOperationException or ServerUnavailableException or ShardProxyException || (e is OperationCanceledException && !stop.IsCancellationRequested))
        {
            server?.MarkBroken();
            return null;
        }
        finally
        {
            if (server is not null)
            {
                pool.Return(server);
            }
        }
    }

    private static async Task<RowDigest?> RunAsync(ServerConnection server, ShadowSample sample)
    {
        if (!sample.Settings.SameAs(server.Settings))
        {
            var applied = await SideDialog.RunAsync(server, sample.Settings.TransitionFrom(server.Settings)).ConfigureAwait(false);
            if (!applied.IsOk)
            {
                // How far it came nobody knows.
                server.GiveUp();
                return null;
            }

            server.Settings = sample.Settings;
        }

        var digest = new RowDigest();
        SideDialog.Send(server, Encoding.UTF8.GetBytes(Begin(sample.Told)));
        sample.Command.Send(server);
        SideDialog.Send(server, End);
        await server.Output.FlushAsync().ConfigureAwait(false);
        var result = await SideDialog.CollectAsync(server, digest).ConfigureAwait(false);
        return result.IsOk && !digest.IsTooLarge ? digest : null;
    }

    private static string Begin(ReportedParameters? told)
    {
        var sql = new StringBuilder("BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY; ").Append(Pins);
        foreach (var name in Shown)
        {
            if (told?[name] is { } value)
            {
                sql.Append("; SET LOCAL ").Append(name).Append(" TO ").Append(SqlIdentifier.Literal(value));
            }
        }

        return sql.ToString();
    }
}
