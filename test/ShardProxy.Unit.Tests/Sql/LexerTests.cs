using System.Text;
using System.Text.RegularExpressions;
using NUnit.Framework;
using ShardProxy.Sql.Lexing;

namespace ShardProxy.Unit.Tests.Sql;

// Protects the agreement with PostgreSQL's lexer: a token cut differently moves a statement's end or takes a literal for code.
[TestFixture]
public sealed partial class LexerTests
{
    private static readonly string[] Fragments =
    [
        "select", "a", "\"q\"\"x\"", "'s'", "''", "E'a\\'b'", "E'\\\\'", "N'n'", "U&'d'", "U&\"d\"", "B'01'", "X'1F'", "$1", "$12", "$$d$$",
        "$t$ $$ $t$", "$a", "1", "1.5", ".5", "1e5", "1E-5", "1..2", "12345678901234567890", "0", "--", "-- c\n", "/*", "*/", "/* c */",
        "/* /* */ */", "+", "-", "*", "/", "<", ">", "=", "~", "!", "@", "#", "%", "^", "&", "|", "`", "?", "<>", "!=", ">=", "=>", "::",
        ":=", ":", "..", ".", ",", "(", ")", "[", "]", ";", " ", "\n", "\t", "\r", "\f", "é", "_x", "x$y", "e", "u", "n", "b", "x", "U&",
        "'", "\"", "\\", "uescape", "'a'\n'b'", "'a' 'b'", "@-", "+-", "*-", "<-", "->>", "#>", "||", "1a", "$1a",
    ];

    [TestCase("a b", "a b")]
    [TestCase("a/*/* x */*/b", "a b")]
    [TestCase("a--x\nb", "a b")]
    [TestCase("a--x", "a")]
    [TestCase("a*/**/b", "a * b")]
    [TestCase("a<--x\n-5", "a < - 5")]
    [TestCase("a+-5", "a + - 5")]
    [TestCase("a@-5", "a @- 5")]
    [TestCase("a*-5", "a * - 5")]
    [TestCase("a-- 5", "a")]
    [TestCase("'it''s' x", "'it''s' x")]
    [TestCase("'a\\' b", "'a\\' b")]
    [TestCase("E'a\\' b' c", "E'a\\' b' c")]
    [TestCase("'a'\n  'b' c", "'a'\n  'b' c")]
    [TestCase("'a' -- c\n 'b' c", "'a' -- c\n 'b' c")]
    [TestCase("'a' 'b'", "'a' 'b'")]
    [TestCase("N'x'", "N 'x'")]
    [TestCase("x'1F' b'01'", "x'1F' b'01'")]
    [TestCase("U&'a' U&\"b\" U &c", "U&'a' U&\"b\" U & c")]
    [TestCase("$1 $12.a", "$1 $12 . a")]
    [TestCase("$$a$b$$ $x$ $$ $x$", "$$a$b$$ $x$ $$ $x$")]
    [TestCase("a$b$c$b$", "a$b$c$b$")]
    [TestCase("1.5 .5 5. 1..10 1e5 1e-5 1.e3", "1.5 .5 5. 1 .. 10 1e5 1e-5 1.e3")]
    [TestCase("1.5.3", "1.5 .3")]
    [TestCase("a::int b:=c d=>e f<>g", "a :: int b := c d => e f <> g")]
    [TestCase("a.b[1:2]", "a . b [ 1 : 2 ]")]
    [TestCase("\"a\"\"b\".c", "\"a\"\"b\" . c")]
    [TestCase("0x1F 1_000 12ab", "0x1F 1_000 12ab")]
    [TestCase("été", "été")]
    public void CutsTextAsPostgresDoes(string text, string expected) => Assert.That(string.Join(' ', Cut(text)), Is.EqualTo(expected));

    [TestCase("'abc", LexFailure.UnterminatedString)]
    [TestCase("E'abc\\'", LexFailure.UnterminatedString)]
    [TestCase("E'abc\\", LexFailure.UnterminatedString)]
    [TestCase("'a'\n'b", LexFailure.UnterminatedString)]
    [TestCase("b'01", LexFailure.UnterminatedBitString)]
    [TestCase("$a$ x $b$", LexFailure.UnterminatedDollarString)]
    [TestCase("\"abc", LexFailure.UnterminatedIdentifier)]
    [TestCase("\"\"", LexFailure.ZeroLengthIdentifier)]
    [TestCase("/* /* */", LexFailure.UnterminatedComment)]
    [TestCase("a \0", LexFailure.NulByte)]
    public void SaysWhyTextCannotBeCut(string text, object expected)
    {
        var lexer = new SqlLexer(Encoding.UTF8.GetBytes(text), 0);
        TokenKind kind;
        do
        {
            kind = lexer.Next();
        }
        while (kind is not (TokenKind.End or TokenKind.Failed));
        Assert.That((kind, lexer.Failure), Is.EqualTo((TokenKind.Failed, (LexFailure)expected)));
    }

    // The reference is the lexer inside libpg_query, PostgreSQL's own: every token begins at the same byte, or neither accepts the text.
    [Test]
    public void AgreesWithPostgresOnRandomText()
    {
        var seed = TestContext.CurrentContext.Random.Next();
        TestContext.Out.WriteLine($"seed {seed}");
        var random = new Random(seed);
        var reference = new ReferenceLexer();
        int compared = 0, refused = 0;
        for (var round = 0; round < 60_000; round++)
        {
            var text = new StringBuilder();
            for (var i = random.Next(1, 9); i > 0; i--)
            {
                text.Append(Fragments[random.Next(Fragments.Length)]);
                if (random.Next(3) == 0)
                {
                    text.Append(' ');
                }
            }

            // libpg_query gives comments as tokens, and so does not continue a string over one as PostgreSQL itself does.
            var sql = text.ToString();
            if (ContinuationOverComment().IsMatch(sql))
            {
                continue;
            }

            var ours = TryCut(sql);
            if (reference.TryCut(sql) is { } theirs)
            {
                compared++;
                if (ours is not null)
                {
                    Assert.That(ours.Select(t => t.Start), Is.EqualTo(theirs), sql);
                }
                else
                {
                    Assert.Fail($"refused: {sql}");
                }
            }
            else
            {
                refused++;
                Assert.That(ours is null || HasUnknown(sql), $"accepted: {sql}");
            }
        }

        Assert.That(compared, Is.GreaterThan(10_000), "the generator makes too little valid text");
        Assert.That(refused, Is.GreaterThan(1_000));
    }

    [Test]
    public void NeverThrowsNorStandsStillOnRandomBytes()
    {
        var seed = TestContext.CurrentContext.Random.Next();
        TestContext.Out.WriteLine($"seed {seed}");
        var random = new Random(seed);
        var bytes = new byte[200];
        for (var round = 0; round < 50_000; round++)
        {
            var length = random.Next(bytes.Length);
            random.NextBytes(bytes.AsSpan(0, length));
            var lexer = new SqlLexer(bytes.AsSpan(0, length), 0);
            var last = 0;
            while (lexer.Next() is not (TokenKind.End or TokenKind.Failed))
            {
                Assert.That(lexer.End, Is.GreaterThan(last).And.LessThanOrEqualTo(length));
                last = lexer.End;
            }
        }
    }

    [GeneratedRegex(@"--[^\n\r]*[\n\r]\s*'")]
    private static partial Regex ContinuationOverComment();

    private static IEnumerable<string> Cut(string text) =>
        TryCut(text)?.Select(t => t.Text) ?? throw new AssertionException($"cannot be cut: {text}");

    private static List<(int Start, string Text)>? TryCut(string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        var lexer = new SqlLexer(bytes, 0);
        var tokens = new List<(int, string)>();
        while (true)
        {
            switch (lexer.Next())
            {
                case TokenKind.End:
                    return tokens;
                case TokenKind.Failed:
                    return null;
                default:
                    tokens.Add((lexer.Start, Encoding.UTF8.GetString(bytes.AsSpan(lexer.Start, lexer.End - lexer.Start))));
                    break;
            }
        }
    }

    private static bool HasUnknown(string text)
    {
        var lexer = new SqlLexer(Encoding.UTF8.GetBytes(text), 0);
        while (true)
        {
            switch (lexer.Next())
            {
                case TokenKind.End or TokenKind.Failed:
                    return false;
                case TokenKind.Unknown:
                    return true;
                default:
                    break;
            }
        }
    }
}
