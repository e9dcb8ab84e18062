using NUnit.Framework;
using ShardProxy.Composition;
using ShardProxy.Configuration;
using ShardProxy.Model.Errors;

namespace ShardProxy.Functional.Tests.Composition;

/// <summary>Protects RELOAD: what can change does, what cannot is named, and a file with problems changes nothing.</summary>
[TestFixture]
internal sealed class ConfigReloaderTests
{
    private const string Good = """
        database: app
        nodes: [{ name: node1, uri: 'postgresql://shardproxy:secret@127.0.0.1:5432/app' }]
        users: [{ name: app, password: secret, admin: true }]
        listen: { port: LISTEN }
        pool: { size: SIZE }
        limits: { statement_timeout_ms: 500 }
        """;

    private string _file = "";

    [SetUp]
    public void MakeFile() => _file = Path.Combine(Path.GetTempPath(), $"shardproxy-reload-{Guid.NewGuid():n}.yaml");

    [TearDown]
    public void RemoveFile() => File.Delete(_file);

    [Test]
    public void WhatCanChangeDoesAndTheRestIsNamed()
    {
        var part = new Part();
        var reloader = new ConfigReloader(Load(6432, 20), [part]);
        Write(6433, 7);
        var notices = reloader.Reload();
        Assert.That(notices, Does.Contain("listen takes effect at the next start").And.Contain("the part says so"));
        Assert.That((reloader.Current.Pool.Size, reloader.Current.Listen.Port), Is.EqualTo((7, 6432)));
        Assert.That(part.Seen!.Pool.Size, Is.EqualTo(7));
    }

    [Test]
    public void AFileWithProblemsChangesNothing()
    {
        var part = new Part();
        var reloader = new ConfigReloader(Load(6432, 20), [part]);
        File.WriteAllText(_file, Good.Replace("SIZE", "many", StringComparison.Ordinal).Replace("LISTEN", "1", StringComparison.Ordinal));
        var error = Assert.Throws<ShardProxyException>(() => reloader.Reload())!.Error;
        Assert.That((error.SqlState, error.Code), Is.EqualTo(("F0000", "SHP-641")));
        Assert.That(error.Detail, Does.Contain("pool.size").And.Not.Contain("secret"));
        Assert.That((reloader.Current.Pool.Size, part.Seen), Is.EqualTo((20, (ProxyOptions?)null)));
    }

    private ProxyOptions Load(int port, int size)
    {
        Write(port, size);
        return ConfigurationLoader.LoadFile(_file).Options!;
    }

    private void Write(int port, int size) => File.WriteAllText(_file, Good.Replace("SIZE", $"{size}", StringComparison.Ordinal).Replace("LISTEN", $"{port}", StringComparison.Ordinal));

    private sealed class Part : IReloadable
    {
        public ProxyOptions? Seen { get; private set; }

        public IEnumerable<string> Reload(ProxyOptions options)
        {
            Seen = options;
            return ["the part says so"];
        }
    }
}
