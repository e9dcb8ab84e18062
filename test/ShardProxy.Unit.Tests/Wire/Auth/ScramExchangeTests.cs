using System.Text;
using NUnit.Framework;
using ShardProxy.Wire.Auth;

namespace ShardProxy.Unit.Tests.Wire.Auth;

/// <summary>
/// Protects logins on both sides: nobody gets in without the password, no server is believed that does not know the verifier,
/// and a message changed on the way ends the exchange.
/// </summary>
[TestFixture]
internal sealed class ScramExchangeTests
{
    // RFC 7677 section 3.
    private const string RfcClientNonce = "rOprNGfwEbeRWgbNEkqO", RfcServerNonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    private const string RfcServerFirst = "r=" + RfcClientNonce + RfcServerNonce + ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    private const string RfcClientFinal = "c=biws,r=" + RfcClientNonce + RfcServerNonce + ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    private const string RfcServerFinal = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

    private static readonly ScramVerifier Pencil = ScramVerifier.FromPassword("pencil", Convert.FromBase64String("W22ZaJ0SNY7soEsUEjb6gQ=="));
    private static readonly ScramMock Mock = new("0123456789abcdef"u8);

    [Test]
    public void TheClientSpeaksTheExchangeOfRfc7677()
    {
        var client = new ScramClient("pencil", new ScramKeyCache(), null, RfcClientNonce, "user");
        Assert.That(Ascii(client.ClientFirst()), Is.EqualTo("n,,n=user,r=" + RfcClientNonce));
        Assert.That(Ascii(client.ReceiveServerFirst(Bytes(RfcServerFirst)).Reply), Is.EqualTo(RfcClientFinal));
        Assert.That(client.IsServerAuthenticated, Is.False);
        Assert.That(client.ReceiveServerFinal(Bytes(RfcServerFinal)).IsOk, Is.True);
        Assert.That(client.IsServerAuthenticated, Is.True);
    }

    [Test]
    public void TheServerSpeaksTheExchangeOfRfc7677()
    {
        var server = new ScramServer(Pencil, Mock.For("user"), RfcServerNonce);
        Assert.That(Ascii(server.ReceiveClientFirst(Bytes("n,,n=user,r=" + RfcClientNonce)).Reply), Is.EqualTo(RfcServerFirst));
        Assert.That(server.IsAuthenticated, Is.False);
        Assert.That(Ascii(server.ReceiveClientFinal(Bytes(RfcClientFinal)).Reply), Is.EqualTo(RfcServerFinal));
        Assert.That(server.IsAuthenticated, Is.True);
    }

    [TestCase("pencil", "pencil", true)]
    [TestCase("p\u00e4ssw\u00f6rd", "pa\u0308ssw\u00f6rd", true)]
    [TestCase("\uff50encil", "pencil", true)]
    [TestCase("pencil", "Pencil", false)]
    [TestCase("pencil", "pencil ", false)]
    [TestCase("pencil", "", false)]
    public void BothSidesAgreeOnWhoKnowsThePassword(string stored, string given, bool isRight)
    {
        var server = new ScramServer(ScramVerifier.FromPassword(stored), Mock.For("ann"));
        var client = new ScramClient(given, new ScramKeyCache());
        var first = server.ReceiveClientFirst(client.ClientFirst());
        var final = server.ReceiveClientFinal(client.ReceiveServerFirst(first.Reply).Reply);

        Assert.That(final.Failure, Is.EqualTo(isRight ? ScramFailure.None : ScramFailure.Rejected));
        Assert.That(server.IsAuthenticated, Is.EqualTo(isRight));
        Assert.That(isRight && client.ReceiveServerFinal(final.Reply).IsOk, Is.EqualTo(isRight));
    }

    [Test]
    public void AnUnknownUserSeesTheSameExchangeAsAWrongPassword()
    {
        var (unknownFirst, unknownFinal) = Login(null, "nobody");
        var (againFirst, _) = Login(null, "nobody");
        var (otherFirst, _) = Login(null, "nobody2");
        var (wrongFirst, wrongFinal) = Login(ScramVerifier.FromPassword("other"), "ann");

        Assert.Multiple(() =>
        {
            Assert.That(Salt(unknownFirst), Is.EqualTo(Salt(againFirst)), "asking twice must not show that the salt is made up");
            Assert.That(Salt(unknownFirst), Is.Not.EqualTo(Salt(otherFirst)));
            Assert.That(Salt(unknownFirst), Has.Length.EqualTo(Salt(wrongFirst).Length));
            Assert.That(unknownFirst, Has.Length.EqualTo(wrongFirst.Length));
            Assert.That(unknownFinal, Is.EqualTo(wrongFinal));
            Assert.That(unknownFinal.Failure, Is.EqualTo(ScramFailure.Rejected));
            Assert.That(unknownFinal.Detail, Is.Null);
        });

        static (string First, ScramStep Final) Login(ScramVerifier? verifier, string user)
        {
            var server = new ScramServer(verifier, Mock.For(user));
            var client = new ScramClient("pencil", new ScramKeyCache());
            var first = server.ReceiveClientFirst(client.ClientFirst());
            return (Ascii(first.Reply), server.ReceiveClientFinal(client.ReceiveServerFirst(first.Reply).Reply));
        }

        static string Salt(string serverFirst) => serverFirst.Split(',')[1];
    }

    [Test]
    public void TheMockIsRefusedEvenToAProofThatFitsItsKeys()
    {
        // A verifier of zero bytes has no known ClientKey; one made from a known password, given as the mock, does.
        var server = new ScramServer(null, Pencil, RfcServerNonce);
        server.ReceiveClientFirst(Bytes("n,,n=user,r=" + RfcClientNonce));
        Assert.That(server.ReceiveClientFinal(Bytes(RfcClientFinal)).Failure, Is.EqualTo(ScramFailure.Rejected));
        Assert.That(server.IsAuthenticated, Is.False);
    }

    [Test]
    public void ATamperedClientFinalNeverPasses()
    {
        // Every single character changed, one at a time.
        Assert.Multiple(() =>
        {
            for (var i = 0; i < RfcClientFinal.Length; i++)
            {
                var server = new ScramServer(Pencil, Mock.For("user"), RfcServerNonce);
                server.ReceiveClientFirst(Bytes("n,,n=user,r=" + RfcClientNonce));
                var tampered = Bytes(RfcClientFinal);
                tampered[i] ^= 1;
                Assert.That(server.ReceiveClientFinal(tampered).IsOk, Is.False, $"character {i}");
                Assert.That(server.IsAuthenticated, Is.False, $"character {i}");
            }
        });
    }

    [Test]
    public void ATamperedClientFirstNeverPasses() => Assert.Multiple(() =>
    {
        const string First = "n,,n=user,r=" + RfcClientNonce;
        for (var i = 0; i < First.Length; i++)
        {
            var server = new ScramServer(Pencil, Mock.For("user"), RfcServerNonce);
            var tampered = Bytes(First);
            tampered[i] ^= 1;
            if (server.ReceiveClientFirst(tampered).IsOk)
            {
                Assert.That(server.ReceiveClientFinal(Bytes(RfcClientFinal)).IsOk, Is.False, $"character {i}");
            }

            Assert.That(server.IsAuthenticated, Is.False, $"character {i}");
        }
    });

    [Test]
    public void ATamperedServerMessageNeverPasses() => Assert.Multiple(() =>
    {
        for (var i = 0; i < RfcServerFirst.Length; i++)
        {
            var client = new ScramClient("pencil", new ScramKeyCache(), new ScramClientLimits { MinimumIterations = 1, MaximumIterations = 10_000 }, RfcClientNonce, "user");
            client.ClientFirst();
            var tampered = Bytes(RfcServerFirst);
            tampered[i] ^= 1;
            var step = client.ReceiveServerFirst(tampered);
            Assert.That(step.IsOk && Ascii(step.Reply) == RfcClientFinal, Is.False, $"server-first, character {i}");
            Assert.That(client.ReceiveServerFinal(Bytes(RfcServerFinal)).IsOk, Is.False, $"server-first, character {i}");
        }

        for (var i = 0; i < RfcServerFinal.Length; i++)
        {
            var client = new ScramClient("pencil", new ScramKeyCache(), null, RfcClientNonce, "user");
            client.ClientFirst();
            client.ReceiveServerFirst(Bytes(RfcServerFirst));
            var tampered = Bytes(RfcServerFinal);
            tampered[i] ^= 1;
            Assert.That(client.ReceiveServerFinal(tampered).IsOk, Is.False, $"server-final, character {i}");
            Assert.That(client.IsServerAuthenticated, Is.False, $"server-final, character {i}");
        }
    });

    [TestCase("", ScramFailure.Malformed)]
    [TestCase("n", ScramFailure.Malformed)]
    [TestCase("n,", ScramFailure.Malformed)]
    [TestCase("n,,", ScramFailure.Malformed)]
    [TestCase("x,,n=,r=abc", ScramFailure.Malformed)]
    [TestCase("p=tls-server-end-point,,n=,r=abc", ScramFailure.Malformed)]
    [TestCase("n,a=root,n=,r=abc", ScramFailure.Unsupported)]
    [TestCase("n,,m=x,n=,r=abc", ScramFailure.Unsupported)]
    [TestCase("n,,r=abc,n=", ScramFailure.Malformed)]
    [TestCase("n,,n=,r=", ScramFailure.Malformed)]
    [TestCase("n,,n=,r=a b", ScramFailure.Malformed)]
    [TestCase("n,,n=,r=\u00e9", ScramFailure.Malformed)]
    [TestCase("n,,n=,r=abc,", ScramFailure.Malformed)]
    [TestCase("n,,n=,r=abc,7=x", ScramFailure.Malformed)]
    [TestCase("n,,n=,r=abc\0", ScramFailure.Malformed)]
    [TestCase("n,,n=,r=abc,q=optional", ScramFailure.None)]
    [TestCase("y,,n=,r=abc", ScramFailure.None)]
    public void TheServerJudgesClientFirstAsPostgresDoes(string message, ScramFailure expected) =>
        Assert.That(new ScramServer(Pencil, Mock.For("a")).ReceiveClientFirst(Bytes(message)).Failure, Is.EqualTo(expected));

    [Test]
    public void AnOverlongMessageIsMalformed() =>
        Assert.That(new ScramServer(Pencil, Mock.For("a")).ReceiveClientFirst(Bytes("n,,n=,r=" + new string('a', 1100))).Failure, Is.EqualTo(ScramFailure.Malformed));

    [TestCase('n', "biws", true)]
    [TestCase('n', "eSws", false)]
    [TestCase('y', "eSws", false)]
    [TestCase('y', "biws", false)]
    public void TheChannelBindingFlagIsRepeatedInClientFinal(char flag, string binding, bool isRightProof)
    {
        // Only the flag's own encoding gets as far as the proof, which here was made for the flag n.
        var server = new ScramServer(Pencil, Mock.For("user"), RfcServerNonce);
        server.ReceiveClientFirst(Bytes($"{flag},,n=user,r={RfcClientNonce}"));
        var step = server.ReceiveClientFinal(Bytes(RfcClientFinal.Replace("biws", binding, StringComparison.Ordinal)));
        var expected = isRightProof ? ScramFailure.None : flag == 'y' && binding == "eSws" ? ScramFailure.Rejected : ScramFailure.Malformed;
        Assert.That(step.Failure, Is.EqualTo(expected));
    }

    [Test]
    public void AMessageOutOfTurnEndsTheExchange()
    {
        var server = new ScramServer(Pencil, Mock.For("user"), RfcServerNonce);
        var first = Bytes("n,,n=user,r=" + RfcClientNonce);
        Assert.That(server.ReceiveClientFinal(Bytes(RfcClientFinal)).Failure, Is.EqualTo(ScramFailure.Malformed));
        Assert.That(server.ReceiveClientFirst(first).Failure, Is.EqualTo(ScramFailure.Malformed), "a failed exchange does not begin again");

        server = new ScramServer(Pencil, Mock.For("user"), RfcServerNonce);
        server.ReceiveClientFirst(first);
        Assert.That(server.ReceiveClientFinal(Bytes(RfcClientFinal)).IsOk, Is.True);
        Assert.That(server.ReceiveClientFinal(Bytes(RfcClientFinal)).IsOk, Is.False);
        Assert.That(server.IsAuthenticated, Is.False, "what comes after success is an attack");
    }

    [TestCase("1", ScramFailure.IterationsRefused)]
    [TestCase("4095", ScramFailure.IterationsRefused)]
    [TestCase("1000001", ScramFailure.IterationsRefused)]
    [TestCase("2147483648", ScramFailure.Malformed)]
    [TestCase("-4096", ScramFailure.Malformed)]
    [TestCase("4096x", ScramFailure.Malformed)]
    public void TheClientRefusesAbsurdIterationCounts(string iterations, ScramFailure expected)
    {
        var client = new ScramClient("pencil", new ScramKeyCache(), null, RfcClientNonce, "");
        client.ClientFirst();
        Assert.That(client.ReceiveServerFirst(Bytes($"r={RfcClientNonce}x,s=W22ZaJ0SNY7soEsUEjb6gQ==,i={iterations}")).Failure, Is.EqualTo(expected));
    }

    [TestCase("r=" + RfcClientNonce + ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", ScramFailure.NonceMismatch)]
    [TestCase("r=stolen,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", ScramFailure.NonceMismatch)]
    [TestCase("r=" + RfcClientNonce + "x,s=,i=4096", ScramFailure.Malformed)]
    [TestCase("r=" + RfcClientNonce + "x,s=!!!!,i=4096", ScramFailure.Malformed)]
    [TestCase("r=" + RfcClientNonce + "x,i=4096", ScramFailure.Malformed)]
    [TestCase("m=ext,r=" + RfcClientNonce + "x,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", ScramFailure.Unsupported)]
    [TestCase("", ScramFailure.Malformed)]
    public void TheClientRefusesABadServerFirst(string message, ScramFailure expected)
    {
        var client = new ScramClient("pencil", new ScramKeyCache(), null, RfcClientNonce, "");
        client.ClientFirst();
        Assert.That(client.ReceiveServerFirst(Bytes(message)).Failure, Is.EqualTo(expected));
    }

    [Test]
    public void AServersErrorIsReportedAsSuch()
    {
        var client = new ScramClient("pencil", new ScramKeyCache(), null, RfcClientNonce, "user");
        client.ClientFirst();
        client.ReceiveServerFirst(Bytes(RfcServerFirst));
        Assert.That(client.ReceiveServerFinal("e=invalid-proof"u8).Failure, Is.EqualTo(ScramFailure.ServerRefused));
    }

    [Test]
    public void ReconnectingDerivesNoKeysAgain()
    {
        var cache = new ScramKeyCache(capacity: 2);
        for (var i = 0; i < 5; i++)
        {
            Connect("pencil", Pencil);
        }

        Assert.That(cache.Derivations, Is.EqualTo(1));
        Connect("pencil", ScramVerifier.FromPassword("pencil"));
        Connect("wrong", Pencil);
        Assert.That((cache.Derivations, cache.Count), Is.EqualTo((3L, 2)), "another salt and another password are other keys; the cache stays bounded");

        void Connect(string password, ScramVerifier verifier)
        {
            var server = new ScramServer(verifier, Mock.For("a"));
            var client = new ScramClient(password, cache);
            var first = server.ReceiveClientFirst(client.ClientFirst());
            Assert.That(server.ReceiveClientFinal(client.ReceiveServerFirst(first.Reply).Reply).IsOk, Is.EqualTo(password == "pencil"));
        }
    }

    private static byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text);

    private static string Ascii(byte[] bytes) => Encoding.ASCII.GetString(bytes);
}
