using NUnit.Framework;
using ShardProxy.Admin.Console;
using ShardProxy.Model.Console;

namespace ShardProxy.Unit.Tests.Admin.Console;

// Protects that psql, Npgsql and pgjdbc can connect to the console: what they send by themselves is answered, and nothing more.
internal sealed class DriverAnswersTests
{
    private readonly ConsoleEngine _console = new(new AdminFixture().Backend);

    [TestCase("SET extra_float_digits = 3", "SET")]
    [TestCase("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "SET")]
    [TestCase("set application_name = 'PostgreSQL JDBC Driver'", "SET")]
    [TestCase("RESET ALL", "RESET")]
    [TestCase("BEGIN", "BEGIN")]
    [TestCase("begin isolation level serializable", "BEGIN")]
    [TestCase("START TRANSACTION", "START TRANSACTION")]
    [TestCase("COMMIT", "COMMIT")]
    [TestCase("ROLLBACK", "ROLLBACK")]
    [TestCase("DISCARD ALL", "DISCARD ALL")]
    [TestCase("UNLISTEN *", "UNLISTEN")]
    [TestCase("CLOSE ALL", "CLOSE CURSOR ALL")]
    [TestCase("DEALLOCATE ALL", "DEALLOCATE ALL")]
    public async Task SessionStatementsDoNothing(string statement, string tag)
    {
        var reply = await Run(statement);
        Assert.That((reply.Error, reply.CommandTag, reply.Columns.Length), Is.EqualTo(((object?)null, tag, 0)));
    }

    [TestCase("SELECT 1", "?column?", "1")]
    [TestCase("select version();", "version", "PostgreSQL 15.0 (ShardProxy 9.8.7 admin console)")]
    [TestCase("SELECT current_database()", "current_database", "shardproxy")]
    [TestCase("SELECT CURRENT_USER", "current_user", "boss")]
    [TestCase("SHOW server_version", "server_version", "15.0")]
    [TestCase("SHOW TRANSACTION ISOLATION LEVEL", "transaction isolation level", "read committed")]
    [TestCase("show Standard_Conforming_Strings", "standard_conforming_strings", "on")]
    public async Task QuestionsHaveOneAnswer(string statement, string column, string value)
    {
        var reply = await Run(statement);
        Assert.Multiple(() =>
        {
            Assert.That(reply.Error, Is.Null);
            Assert.That(reply.Columns.Single().Name, Is.EqualTo(column));
            Assert.That(reply.Rows.Single().Single(), Is.EqualTo(value));
        });
    }

    [Test]
    public async Task NpgsqlFindsTheTypesOfConsoleColumns()
    {
        var types = await Run("\n\nSELECT ns.nspname, t.oid, t.typname, t.typtype, t.typnotnull, t.elemtypoid\nFROM (\n -- a comment\n SELECT 1) AS t");
        var fields = await Run("-- Load fields\nSELECT typ.oid, att.attname, att.atttypid\nFROM pg_type AS typ");
        var labels = await Run("-- Load enum fields\nSELECT typ.oid, enumlabel\nFROM pg_enum");
        Assert.Multiple(() =>
        {
            Assert.That(types.Columns, Has.Length.EqualTo(6));
            Assert.That(types.Rows.Select(r => r[2]), Is.SupersetOf(new[] { "text", "int8", "float8", "bool", "timestamptz" }));
            Assert.That((fields.Columns.Length, fields.Rows.Length), Is.EqualTo((3, 0)));
            Assert.That((labels.Columns.Length, labels.Rows.Length), Is.EqualTo((2, 0)));
        });
    }

    [TestCase("SELECT 'version()'")]
    [TestCase("SELECT 1, 2")]
    [TestCase("SELECT 1 FROM t")]
    [TestCase("select pg_terminate_backend(1)")]
    public async Task OtherSqlIsRefused(string statement) => Assert.That((await Run(statement)).Error?.Code, Is.EqualTo("SHP-605"));

    private ValueTask<ConsoleReply> Run(string statement) => _console.ExecuteAsync(statement, "boss", CancellationToken.None);
}
