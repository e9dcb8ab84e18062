using System.Net;
using NUnit.Framework;
using ShardProxy.DataPath;

namespace ShardProxy.Unit.Tests.DataPath.Login;

// Protects the reading of rules: each condition counts, and all of them together.
[TestFixture]
internal sealed class AuthenticationRuleTests
{
    [TestCase(RuleKind.Host, true, true)]
    [TestCase(RuleKind.Host, false, true)]
    [TestCase(RuleKind.HostSsl, true, true)]
    [TestCase(RuleKind.HostSsl, false, false)]
    [TestCase(RuleKind.HostNoSsl, true, false)]
    [TestCase(RuleKind.HostNoSsl, false, true)]
    public void EncryptionCounts(RuleKind kind, bool isEncrypted, bool matches) =>
        Assert.That((AuthenticationRule.ForAll(ClientAuthentication.Trust) with { Kind = kind }).Matches(isEncrypted, "db", "user", IPAddress.Loopback), Is.EqualTo(matches));

    [TestCase("all", "all", null, true)]
    [TestCase("app,other", "ann,bob", "10.1.0.0/16", true)]
    [TestCase("other", "all", null, false)]
    [TestCase("all", "bob", null, false)]
    [TestCase("all", "all", "10.2.0.0/16", false)]
    [TestCase("all", "all", "::/0", false)]
    [TestCase("sameuser", "all", null, false)]
    [TestCase("App", "all", null, false)]
    public void NamesAndAddressesCount(string databases, string users, string? network, bool matches)
    {
        var rule = new AuthenticationRule(RuleKind.Host, databases.Split(','), users.Split(','), network is null ? null : IPNetwork.Parse(network), ClientAuthentication.Trust);
        Assert.That(rule.Matches(false, "app", "ann", IPAddress.Parse("10.1.2.3")), Is.EqualTo(matches));
    }

    [Test]
    public void SameUserMeansADatabaseOfTheUsersName()
    {
        var rule = AuthenticationRule.ForAll(ClientAuthentication.Trust) with { Databases = ["sameuser"] };
        Assert.That(rule.Matches(false, "ann", "ann", null), Is.True);
    }

    [Test]
    public void AnUnknownAddressIsInNoNetwork()
    {
        var rule = AuthenticationRule.ForAll(ClientAuthentication.Trust) with { Addresses = IPNetwork.Parse("0.0.0.0/0") };
        Assert.That(rule.Matches(false, "app", "ann", null), Is.False);
    }
}
