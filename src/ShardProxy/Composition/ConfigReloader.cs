using System.Collections.Immutable;
using ShardProxy.Configuration;
using ShardProxy.Model.Errors;

namespace ShardProxy.Composition;

/// <summary>
/// RELOAD: reads the configuration file and the environment again and gives what changed to every part that can take it. A file with
/// problems changes nothing; keys that count only at the start are listed and keep their values.
/// </summary>
internal sealed class ConfigReloader(ProxyOptions initial, IReadOnlyList<IReloadable> parts)
{
    private readonly Lock _lock = new();
    private ProxyOptions _current = initial;

    /// <summary>What is in force.</summary>
    public ProxyOptions Current => Volatile.Read(ref _current);

    /// <exception cref="ShardProxyException">SHP-641: the file has problems.</exception>
    public ImmutableArray<string> Reload()
    {
        lock (_lock)
        {
            var notices = ImmutableArray.CreateBuilder<string>();
            var next = _current;
            if (_current.File is { } file)
            {
                var loaded = ConfigurationLoader.LoadFile(file);
                if (loaded.Options is not { } read)
                {
                    throw new ShardProxyException(new ShardProxyError(
                        "F0000",
                        "SHP-641",
                        "the configuration file has problems; nothing was changed",
                        "Correct them and check with shardproxy check-config.",
                        string.Join(' ', loaded.Problems.Take(5).Select(p => p.ToString()))));
                }

                notices.AddRange(loaded.Warnings);
                notices.AddRange(AtStartOnly(_current, read).Select(key => $"{key} takes effect at the next start"));
                next = _current with { Users = read.Users, Authentication = read.Authentication, TrustsClients = read.TrustsClients, Pool = read.Pool, Limits = read.Limits, Log = _current.Log with { Level = read.Log.Level }, DrainTimeout = read.DrainTimeout, HandoverClientWait = read.HandoverClientWait };
            }
            else
            {
                notices.Add("this proxy was started without a configuration file; only certificates and user files are read again");
            }

            foreach (var part in parts)
            {
                notices.AddRange(part.Reload(next));
            }

            Volatile.Write(ref _current, next);
            return notices.ToImmutable();
        }
    }

    private static IEnumerable<string> AtStartOnly(ProxyOptions now, ProxyOptions read)
    {
        (string Key, bool Differs)[] keys =
        [
            ("listen", !now.Listen.Equals(read.Listen)),
            ("admin", !now.Admin.Equals(read.Admin) || now.AdminAccess != read.AdminAccess),
            ("database", now.Database != read.Database),
            ("proxy_id", now.ProxyId != read.ProxyId),
            ("nodes", !now.Nodes.SequenceEqual(read.Nodes)),
            ("tls", now.Tls != read.Tls),
            ("limits.max_statement_shapes", now.Limits.MaxStatementShapes != read.Limits.MaxStatementShapes),
            ("limits.buffer_bytes", now.Limits.BufferBytes != read.Limits.BufferBytes),
            ("pool.max_prepared_bytes", now.Pool.MaxPreparedBytes != read.Pool.MaxPreparedBytes),
            ("catalog", now.Catalog != read.Catalog),
            ("handover.socket", now.HandoverSocket != read.HandoverSocket),
            ("planner", now.Planner != read.Planner),
            ("log.format", now.Log.IsJson != read.Log.IsJson),
        ];
        return keys.Where(k => k.Differs).Select(k => k.Key);
    }
}
