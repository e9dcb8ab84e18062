using NUnit.Framework;
using ShardProxy.TestKit.Wire;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>
/// Protects sessions whose custom parameters belong to a library that is loaded later: what was set when nobody could judge it must not keep the
/// session from servers on which the library is loaded. It is taken back with a warning, as PostgreSQL does at LOAD; all else stays.
/// </summary>
internal sealed class LateLibraryTests : DataPathFixture
{
    private const string Loads = "DO $$ BEGIN NULL; END $$";

    protected override Placement Tables { get; } = new();

    protected override string Ddl => "SELECT 1";

    // The clients take turns on one server.
    protected override int PoolSize => 1;

    [TestCase("plpgsql.extra_warnings", "junk", "none")]
    [TestCase("plpgsql.check_asserts", "neither", "on")]
    [TestCase("plpgsql.unheard_of", "x", null)]
    public async Task AValueThatALoadedLibraryRefusesIsTakenBackWithAWarning(string name, string value, string? becomes)
    {
        await using var proxy = await StartProxyAsync();
        using var client = await proxy.LoginAsync();
        foreach (var sql in new[] { "SET my.tenant = '7'", $"SET {name} = '{value}'", "SET work_mem = '9MB'", "SET zz.last = 'z'" })
        {
            Assert.That((await client.QueryAsync(sql)).Errors, Is.Empty, sql);
        }

        Assert.That((await client.QueryAsync($"SHOW {name}")).Rows[0][0], Is.EqualTo(value), "no library has been loaded");
        using (var other = await proxy.LoginAsync())
        {
            Assert.That((await other.QueryAsync(Loads)).Errors, Is.Empty);
        }

        var reply = await client.QueryAsync("SELECT concat_ws('|', current_setting('my.tenant'), current_setting('work_mem'), current_setting('zz.last'))");
        Assert.That(reply.Errors, Is.Empty, reply.ToString());
        Assert.That(reply.Rows[0][0], Is.EqualTo("7|9MB|z"));
        var warning = reply.Messages.Single(m => m.Type == 'N');
        Assert.That((warning.Field('S'), warning.Field('M')), Is.EqualTo(("WARNING", warning.Field('M'))));
        Assert.That(warning.Field('M'), Does.Contain(name));

        reply = await client.QueryAsync($"SHOW {name}");
        Assert.That(reply.Messages.Count(m => m.Type == 'N'), Is.Zero, "told once");
        Assert.That((reply.SqlState, reply.Rows.Count == 0 ? null : reply.Rows[0][0]), Is.EqualTo((becomes is null ? "42704" : null, becomes)));
        Assert.That((await client.QueryAsync("BEGIN; SELECT 1; COMMIT")).Errors, Is.Empty);
    }

    [Test]
    public async Task TheSameInStartUpParametersDoesNotKeepAClientOut()
    {
        await using var proxy = await StartProxyAsync();
        using (var other = await proxy.LoginAsync())
        {
            await other.QueryAsync(Loads);
        }

        using var client = await proxy.LoginAsync(("options", "-c plpgsql.extra_errors=junk -c my.tenant=7"));
        Assert.That((await client.QueryAsync("SHOW my.tenant")).Rows[0][0], Is.EqualTo("7"));
        Assert.That((await client.QueryAsync("SHOW plpgsql.extra_errors")).Rows[0][0], Is.EqualTo("none"));
        await client.QueryAsync("RESET ALL");
        Assert.That((await client.QueryAsync("SHOW my.tenant")).Rows[0][0], Is.EqualTo("7"));
    }

    [Test]
    public async Task WhatTheLibraryTakesIsKept()
    {
        await using var proxy = await StartProxyAsync();
        using var client = await proxy.LoginAsync();
        await client.QueryAsync("SET plpgsql.extra_warnings = 'all'");
        using (var other = await proxy.LoginAsync())
        {
            await other.QueryAsync(Loads);
            Assert.That((await other.QueryAsync("SHOW plpgsql.extra_warnings")).Rows[0][0], Is.EqualTo("none"));
        }

        var reply = await client.QueryAsync("SHOW plpgsql.extra_warnings");
        Assert.That((reply.Rows[0][0], reply.Messages.Count(m => m.Type == 'N')), Is.EqualTo(("all", 0)));
        await client.QueryAsync("RESET plpgsql.extra_warnings");
        Assert.That((await client.QueryAsync("SHOW plpgsql.extra_warnings")).Rows[0][0], Is.EqualTo("none"));
    }
}
