using NUnit.Framework;
using ShardProxy.DataPath.Login;
using ShardProxy.Model.Errors;

namespace ShardProxy.Unit.Tests.DataPath.Login;

// Protects the file of users: what other poolers write is read, every fault is named with its line, and no message shows a secret.
[TestFixture]
internal sealed class UserFileTests
{
    [Test]
    public void UsersAreReadInOrderWithQuotesUndone()
    {
        const string Text = """
            ; written by a script
            # or by hand

            "app" "SCRAM-SHA-256$4096:c2FsdA==$AAAA:BBBB"
              "we""ird name"	"pass""word with ; and #"   rest is ignored
            "locked" ""
            "last" "md50123456789abcdef0123456789abcdef"
            """;
        Assert.That(UserFile.Parse(Text.Replace("\n", "\r\n", StringComparison.Ordinal), "users.txt"), Is.EqualTo(new[]
        {
            ("app", "SCRAM-SHA-256$4096:c2FsdA==$AAAA:BBBB"), ("we\"ird name", "pass\"word with ; and #"), ("last", "md50123456789abcdef0123456789abcdef"),
        }));
    }

    [TestCase("\"app\"", 1)]
    [TestCase("\"app\" \"x\"\napp secret", 2)]
    [TestCase("\"app\" \"never closed secret", 1)]
    [TestCase("\"\" \"secret\"", 1)]
    [TestCase("\"a\" \"secret\"\n\n\"a\" \"secret2\"", 3)]
    public void AFaultIsNamedByItsLineAndNotByItsSecret(string text, int line)
    {
        var error = Assert.Throws<ShardProxyException>(() => UserFile.Parse(text, "users.txt")).Error;
        Assert.That(error.Code, Is.EqualTo("SHP-720"));
        Assert.That(error.Message, Does.StartWith($"line {line} of user file \"users.txt\"").And.Not.Contain("secret2").And.Not.Contain("never closed"));
    }
}
