using System.Globalization;
using Npgsql;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.Cluster.Tests.EndToEnd.Tools;

/// <summary>One connection to the admin console, by an ordinary driver.</summary>
internal sealed class ConsoleClient : IAsyncDisposable
{
    private readonly NpgsqlConnection _connection;

    private ConsoleClient(NpgsqlConnection connection) => _connection = connection;

    public static async Task<ConsoleClient> OpenAsync(ProxyProcess proxy, CancellationToken cancellationToken) =>
        new(await Db.OpenAsync(proxy.ConsoleConnectionString, cancellationToken));

    public Task RunAsync(string statement, CancellationToken cancellationToken) => _connection.RunAsync(statement, cancellationToken);

    public Task<List<Row>> RowsAsync(string statement, CancellationToken cancellationToken) => _connection.RowsAsync(statement, cancellationToken);

    /// <summary>The texts of the notices that come with the result.</summary>
    public async Task<List<string>> NoticesAsync(string statement, CancellationToken cancellationToken)
    {
        var notices = new List<string>();
        void Keep(object? sender, NpgsqlNoticeEventArgs e) => notices.Add(e.Notice.MessageText);
        _connection.Notice += Keep;
        try
        {
            await RunAsync(statement, cancellationToken);
        }
        finally
        {
            _connection.Notice -= Keep;
        }

        return notices;
    }

    /// <summary>SHOW RANGES.</summary>
    public async Task<List<RangeView>> RangesAsync(CancellationToken cancellationToken) =>
    [
        .. (await RowsAsync("SHOW RANGES", cancellationToken)).Select(r => new RangeView(
            int.Parse(r["id"]!, CultureInfo.InvariantCulture),
            r["group"]!,
            r["from"] is { } from ? long.Parse(from, CultureInfo.InvariantCulture) : long.MinValue,
            r["to"] is { } to ? long.Parse(to, CultureInfo.InvariantCulture) : null,
            r["node"]!,
            r["state"]!)),
    ];

    /// <summary>The ranges of the group that a table is in.</summary>
    public async Task<List<RangeView>> RangesOfAsync(string table, CancellationToken cancellationToken)
    {
        var group = (await RowsAsync("SHOW TABLES", cancellationToken)).Single(r => r["table"] == table)["group"];
        return [.. (await RangesAsync(cancellationToken)).Where(r => r.Group == group)];
    }

    public ValueTask DisposeAsync() => _connection.DisposeAsync();
}
