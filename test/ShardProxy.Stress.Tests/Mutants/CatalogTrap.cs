using Npgsql;
using ShardProxy.Stress.Tests.Faults;

namespace ShardProxy.Stress.Tests.Mutants;

/// <summary>Stops a change of the catalog inside the catalog's own transaction: one that a condition of SQL picks. For catalogs in PostgreSQL.</summary>
internal sealed class CatalogTrap : IAsyncDisposable
{
    /// <summary>A change of the catalog's document that announces a cutover, and one by which a range gets another owner.</summary>
    public const string Holding = "NEW.value LIKE '%\"phase\":2%' AND OLD.value NOT LIKE '%\"phase\":2%'",
        Commit = "NEW.value LIKE '%\"phase\":3%' AND (NEW.value::jsonb - 'moves' - 'epoch') IS DISTINCT FROM (OLD.value::jsonb - 'moves' - 'epoch')";

    private const int Lock = 779;
    private readonly FaultCluster _cluster;
    private readonly NpgsqlConnection _holder;
    private readonly string _change;
    private bool _isSet = true;

    private CatalogTrap(FaultCluster cluster, NpgsqlConnection holder, string change)
    {
        _cluster = cluster;
        _holder = holder;
        _change = change;
    }

    public static async Task<CatalogTrap> SetAsync(FaultCluster cluster, string change)
    {
        var holder = await cluster.OpenCatalogAsync();
        await MutantStage.RunAsync(
            holder,
            $"""
            SELECT pg_advisory_lock({Lock});
            CREATE OR REPLACE FUNCTION public.trap() RETURNS trigger LANGUAGE plpgsql AS $f$
            BEGIN
                IF NEW.key = OLD.key AND {change} THEN
                    PERFORM pg_advisory_xact_lock({Lock});
                END IF;
                RETURN NEW;
            END $f$;
            CREATE TRIGGER trap BEFORE UPDATE ON shardproxy_catalog.entry FOR EACH ROW EXECUTE FUNCTION public.trap();
            """);
        return new CatalogTrap(cluster, holder, change);
    }

    /// <summary>Returns when a change waits in it.</summary>
    public async Task WaitForPreyAsync()
    {
        if (!await Patience.SoonAsync(async () => await CountAsync($"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = {Lock} AND NOT granted") > 0, MutantStage.Deadline))
        {
            throw new InvalidOperationException($"no such change came: {_change}");
        }
    }

    /// <summary>Lets that one go and is set again for the next.</summary>
    public Task ReleaseAsync() => MutantStage.RunAsync(_holder, $"SELECT pg_advisory_unlock({Lock}); SELECT pg_advisory_lock({Lock})");

    /// <summary>Returns when a move that was let go can be read as decided.</summary>
    public Task<bool> WaitForCommitAsync() =>
        Patience.SoonAsync(async () => await CountAsync("SELECT count(*) FROM shardproxy_catalog.entry WHERE value LIKE '%\"phase\":3%'") > 0, TimeSpan.FromSeconds(10));

    public async Task RemoveAsync()
    {
        if (_isSet)
        {
            _isSet = false;
            await MutantStage.RunAsync(_holder, $"SELECT pg_advisory_unlock({Lock})");
            await MutantStage.RunAsync(_holder, "DROP TRIGGER trap ON shardproxy_catalog.entry");
        }
    }

    public async ValueTask DisposeAsync()
    {
        await RemoveAsync();
        await _holder.DisposeAsync();
    }

    private async Task<long> CountAsync(string sql)
    {
        await using var command = new NpgsqlCommand(sql, _holder);
        return (long)(await command.ExecuteScalarAsync())!;
    }
}
