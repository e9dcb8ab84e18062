using System.Globalization;
using System.Text;
using ShardProxy.Sql.Lexing;

namespace ShardProxy.Sql.Shapes;

/// <summary>Prints a statement for people: one line, words in lower case, literals as parameters numbered after the real ones.</summary>
internal static class NormalizedText
{
    public const int MaxLength = 4_000;

    public static string Render(TokenTable tokens, int parameterCount)
    {
        var text = new StringBuilder();
        var literals = 0;
        for (var i = 0; i < tokens.Count; i++)
        {
            if (i > 0 && HasSpaceBetween(tokens, i))
            {
                text.Append(' ');
            }

            switch (tokens[i].Kind)
            {
                case TokenKind.Literal:
                    text.Append(CultureInfo.InvariantCulture, $"${parameterCount + ++literals}");
                    break;
                case TokenKind.Word:
                    text.Append(Printable(Encoding.UTF8.GetString(tokens.Bytes(i)), isFolded: true));
                    break;
                default:
                    text.Append(Printable(Encoding.UTF8.GetString(tokens.Bytes(i)), isFolded: false));
                    break;
            }

            if (text.Length > MaxLength)
            {
                text.Length = MaxLength - 1;
                return text.Append('…').ToString();
            }
        }

        return text.ToString();
    }

    private static bool HasSpaceBetween(TokenTable tokens, int i)
    {
        var isTight = tokens.IsSign(i, ',') || tokens.IsSign(i, ')') || tokens.IsSign(i, ']') || tokens.IsSign(i, '.') || tokens.IsSign(i, '[')
            || tokens.IsSign(i - 1, '(') || tokens.IsSign(i - 1, '[') || tokens.IsSign(i - 1, '.')
            || IsCast(tokens, i) || IsCast(tokens, i - 1);
        return !isTight;
    }

    private static bool IsCast(TokenTable tokens, int i) => tokens[i].Kind == TokenKind.Punctuation && tokens.Bytes(i).SequenceEqual("::"u8);

    private static string Printable(string token, bool isFolded)
    {
        var characters = token.ToCharArray();
        for (var i = 0; i < characters.Length; i++)
        {
            if (char.IsControl(characters[i]))
            {
                characters[i] = '?';
            }
            else if (isFolded && char.IsAsciiLetterUpper(characters[i]))
            {
                characters[i] = char.ToLowerInvariant(characters[i]);
            }
        }

        return new string(characters);
    }
}
