using System.Collections.Immutable;
using Npgsql;
using ShardProxy.Control.Nodes;
using ShardProxy.Model.Errors;

namespace ShardProxy.Control.Tables;

/// <summary>
/// Makes on a node what a table needs there and what it does not have, as the home node has it. What is there already has to be the same; a function
/// is replaced, and a type that nothing uses is made anew.
/// </summary>
internal static class DependencyCreator
{
    /// <param name="node">To the node, in a transaction, with search_path pg_catalog.</param>
    /// <param name="nodeName">Its name.</param>
    /// <param name="table">The table, for errors.</param>
    /// <param name="dependencies">As the home node has them, in the order of their kinds.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    /// <exception cref="ShardProxyException">SHP-636.</exception>
    public static async Task CreateAsync(
        NpgsqlConnection node, string nodeName, string table, ImmutableArray<TableDependency> dependencies, CancellationToken cancellationToken)
    {
        // A function may refer to others that come later; its body is looked at when it is called.
        await node.RunAsync("SET LOCAL check_function_bodies = off", cancellationToken);
        await DropDifferingAsync(node, nodeName, table, dependencies, cancellationToken);
        var waiting = dependencies.ToList();
        while (waiting.Count > 0)
        {
            var later = new List<TableDependency>();
            PostgresException? missing = null;
            foreach (var dependency in waiting)
            {
                if (await TryCreateAsync(node, nodeName, table, dependency, cancellationToken) is { } lacks)
                {
                    missing = lacks;
                    later.Add(dependency);
                }
            }

            // Types of types, domains over functions: in whatever order they come, one of each round is possible.
            if (later.Count == waiting.Count)
            {
                if (later.TrueForAll(d => d.IsOptional))
                {
                    return;
                }

                later.Sort((x, y) => x.IsOptional.CompareTo(y.IsOptional));
                throw new ShardProxyException(ControlErrors.DependencyMissing(table, later[0].Identity, nodeName, missing!.MessageText), missing);
            }

            waiting = later;
        }
    }

    // What is made anew goes before anything is made: else that might use it.
    private static async Task DropDifferingAsync(
        NpgsqlConnection node, string nodeName, string table, ImmutableArray<TableDependency> dependencies, CancellationToken cancellationToken)
    {
        var differing = new List<TableDependency>();
        foreach (var dependency in dependencies.Where(d => d.Kind is not (DependencyKind.Other or DependencyKind.Function)))
        {
            if (await DependencyReader.DefinitionAsync(node, dependency, cancellationToken) is { } present && !string.Equals(present, dependency.CreateSql, StringComparison.Ordinal))
            {
                differing.Add(dependency);
            }
        }

        while (differing.Count > 0)
        {
            var kept = new List<TableDependency>();
            PostgresException? inUse = null;
            foreach (var dependency in differing)
            {
                await node.RunAsync("SAVEPOINT dependency", cancellationToken);
                try
                {
                    await node.RunAsync($"DROP {dependency.Noun} {dependency.Identity}; RELEASE SAVEPOINT dependency", cancellationToken);
                }
                catch (PostgresException e)
                {
                    await node.RunAsync("ROLLBACK TO SAVEPOINT dependency; RELEASE SAVEPOINT dependency", cancellationToken);
                    inUse = e;
                    kept.Add(dependency);
                }
            }

            if (kept.Count == differing.Count)
            {
                if (kept.Find(d => !d.IsOptional) is { } needed)
                {
                    throw new ShardProxyException(ControlErrors.DependencyDiffers(table, needed.Identity, nodeName), inUse!);
                }

                return;
            }

            differing = kept;
        }
    }

    // Null when it is there; else what it lacks itself.
    private static async Task<PostgresException?> TryCreateAsync(
        NpgsqlConnection node, string nodeName, string table, TableDependency dependency, CancellationToken cancellationToken)
    {
        if (dependency.Kind == DependencyKind.Other)
        {
            return await IsThereAsync(node, dependency, cancellationToken)
                ? null
                : throw new ShardProxyException(ControlErrors.DependencyMissing(table, $"{dependency.Noun} {dependency.Identity}", nodeName, "it does not exist there"));
        }

        var present = await DependencyReader.DefinitionAsync(node, dependency, cancellationToken);
        if (string.Equals(present, dependency.CreateSql, StringComparison.Ordinal))
        {
            return null;
        }

        await node.RunAsync("SAVEPOINT dependency", cancellationToken);
        try
        {
            foreach (var sql in dependency.AfterSql.Prepend(dependency.CreateSql))
            {
                await node.RunAsync(sql, cancellationToken);
            }

            await node.RunAsync("RELEASE SAVEPOINT dependency", cancellationToken);
            return null;
        }
        catch (PostgresException e)
        {
            await node.RunAsync("ROLLBACK TO SAVEPOINT dependency; RELEASE SAVEPOINT dependency", cancellationToken);
            if (e.SqlState is PostgresErrorCodes.UndefinedObject or PostgresErrorCodes.UndefinedFunction or PostgresErrorCodes.UndefinedTable or PostgresErrorCodes.InvalidSchemaName)
            {
                return e;
            }

            if (dependency.IsOptional)
            {
                return null;
            }

            throw new ShardProxyException(
                present is null
                    ? ControlErrors.DependencyMissing(table, dependency.Identity, nodeName, e.MessageText)
                    : ControlErrors.DependencyDiffers(table, dependency.Identity, nodeName),
                e);
        }
    }

    private static async Task<bool> IsThereAsync(NpgsqlConnection node, TableDependency dependency, CancellationToken cancellationToken) =>
        await node.ScalarAsync<bool>(
            """
            SELECT EXISTS (SELECT FROM (
                SELECT 'pg_proc'::regclass AS c, oid FROM pg_proc UNION ALL SELECT 'pg_operator'::regclass, oid FROM pg_operator UNION ALL SELECT 'pg_opclass'::regclass, oid FROM pg_opclass
                UNION ALL SELECT 'pg_opfamily'::regclass, oid FROM pg_opfamily UNION ALL SELECT 'pg_cast'::regclass, oid FROM pg_cast UNION ALL SELECT 'pg_language'::regclass, oid FROM pg_language
                UNION ALL SELECT 'pg_ts_config'::regclass, oid FROM pg_ts_config UNION ALL SELECT 'pg_ts_dict'::regclass, oid FROM pg_ts_dict UNION ALL SELECT 'pg_type'::regclass, oid FROM pg_type
                UNION ALL SELECT 'pg_am'::regclass, oid FROM pg_am UNION ALL SELECT 'pg_conversion'::regclass, oid FROM pg_conversion) o
                CROSS JOIN LATERAL pg_identify_object(o.c, o.oid, 0) i WHERE i.type = $1 AND i.identity = $2)
            """,
            cancellationToken,
            dependency.Noun,
            dependency.Identity);
}
