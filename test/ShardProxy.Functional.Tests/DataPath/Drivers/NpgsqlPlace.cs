using Npgsql;

namespace ShardProxy.Functional.Tests.DataPath.Drivers;

/// <summary>One of the places in which every exercise runs: PostgreSQL itself, the proxy without and with placed tables.</summary>
/// <param name="Name">What a failing test calls it.</param>
/// <param name="ConnectionString">How to get there.</param>
internal sealed record NpgsqlPlace(string Name, string ConnectionString) : IAsyncDisposable
{
    private NpgsqlDataSource? _source;

    public string Database => new NpgsqlConnectionStringBuilder(ConnectionString).Database!;

    /// <summary>Npgsql as it is when nobody configures it.</summary>
    public NpgsqlDataSource Source => _source ??= NpgsqlDataSource.Create(ConnectionString);

    /// <summary>A source of its own, with other settings and type mappings.</summary>
    public NpgsqlDataSource With(Action<NpgsqlConnectionStringBuilder> change, Action<NpgsqlDataSourceBuilder>? map = null)
    {
        var settings = new NpgsqlConnectionStringBuilder(ConnectionString);
        change(settings);
        var builder = new NpgsqlDataSourceBuilder(settings.ConnectionString);
        map?.Invoke(builder);
        return builder.Build();
    }

    public async ValueTask DisposeAsync()
    {
        if (_source is not null)
        {
            await _source.DisposeAsync();
        }
    }
}
