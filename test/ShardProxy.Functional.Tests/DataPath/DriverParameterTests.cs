using System.Buffers.Binary;
using NUnit.Framework;
using static ShardProxy.TestKit.Wire.Frontend;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>
/// Protects drivers that declare an integer by its size and not by the column's (psycopg 3 sends 7 as a smallint, with or without a cast): the
/// statement finds its row wherever the key lies, in both formats, and a value that does not fit its cast gets PostgreSQL's own error.
/// </summary>
[TestFixture]
internal sealed class DriverParameterTests : DataPathFixture
{
    private const uint Int2 = 21;
    private const uint Int4 = 23;
    private const uint Int8 = 20;

    protected override Placement Tables { get; } = new Placement().Sharded("big", "id int8, v text", "id").Sharded("small", "id int4, v text", "id");

    protected override string Ddl => "CREATE TABLE big (id bigint PRIMARY KEY, v text); CREATE TABLE small (id int PRIMARY KEY, v text)";

    [Test]
    public async Task AnIntegerOfAnySizeIsTheKey([Values("big", "small")] string table, [Values(0u, Int2, Int4, Int8)] uint declared, [Values("", "::smallint", "::int", "::bigint")] string cast)
    {
        using var client = await Proxy.LoginAsync();
        await DirectOnAllAsync($"TRUNCATE {table}");
        foreach (var key in new[] { 1, -5, 30_000 })
        {
            await client.SendAsync(Parse($"INSERT INTO {table} VALUES ($1{cast}, 'x')", "", declared), Bind("", values: $"{key}"), Execute(), Sync());
            Assert.That((await client.ReadUntilReadyAsync()).SqlState, Is.Null);
            var select = Parse($"SELECT v FROM {table} WHERE id = $1{cast}", "", declared);
            await client.SendAsync(select, Bind("", values: $"{key}"), Execute(), Sync());
            Assert.That((await client.ReadUntilReadyAsync()).Rows, Has.Count.EqualTo(1), $"{key} as text");
            if (declared != 0)
            {
                await client.SendAsync(select, Bind("", "", [1], [Binary(declared, key)], [0]), Execute(), Sync());
                Assert.That((await client.ReadUntilReadyAsync()).Rows, Has.Count.EqualTo(1), $"{key} as binary");
            }
        }
    }

    [Test]
    public async Task WhatDoesNotFitItsCastFailsAsOnPostgres()
    {
        using var client = await Proxy.LoginAsync();
        await client.SendAsync(Parse("SELECT v FROM big WHERE id = $1::int", "", Int8), Bind("", values: "5000000000"), Execute(), Sync());
        Assert.That((await client.ReadUntilReadyAsync()).SqlState, Is.EqualTo("22003"));
    }

    private static byte[] Binary(uint type, int value)
    {
        var bytes = new byte[8];
        BinaryPrimitives.WriteInt64BigEndian(bytes, value);
        return bytes[(type switch { Int2 => 6, Int4 => 4, _ => 0 })..];
    }
}
