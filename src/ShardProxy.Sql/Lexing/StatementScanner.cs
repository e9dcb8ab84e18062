using System.Text.Unicode;

namespace ShardProxy.Sql.Lexing;

/// <summary>One pass over one statement: finds its end, its literals and its normal form, and checks its bounds.</summary>
internal static class StatementScanner
{
    /// <summary>
    /// Scans the statement that begins at or after <paramref name="start"/>, empty ones skipped. Allocates nothing once
    /// <paramref name="literals"/> and <paramref name="form"/> have grown.
    /// </summary>
    public static StatementBounds Scan(ReadOnlySpan<byte> text, int start, LiteralList literals, NormalForm form, SqlOptions options)
    {
        literals.Clear();
        form.Begin(options.MaxCachedKeyBytes);
        var lexer = new SqlLexer(text, start);
        var state = default(ScanState);
        state.First = -1;
        int end = start, next = text.Length, tokens = 0, parameters = 0;
        var failure = LexFailure.None;
        while (failure == LexFailure.None)
        {
            var kind = lexer.Next();
            if (kind == TokenKind.End)
            {
                break;
            }

            if (kind == TokenKind.Failed)
            {
                failure = lexer.Failure;
                break;
            }

            var token = text[lexer.Start..lexer.End];
            if (kind == TokenKind.Punctuation && token[0] == ';' && state.EndsStatement)
            {
                if (state.First < 0)
                {
                    continue;
                }

                next = lexer.End;
                break;
            }

            if (state.First < 0)
            {
                state.First = lexer.Start;
                state.IsVerbatim = !SharesLiterals(kind, token);
            }

            end = lexer.End;
            if (++tokens > options.MaxTokens)
            {
                failure = LexFailure.TooManyTokens;
                break;
            }

            switch (kind)
            {
                case TokenKind.Word:
                    state.SeeWord(token, tokens);
                    form.AppendFolded(token);
                    break;
                case TokenKind.Literal:
                    if (!literals.TryAdd(new Literal(lexer.Start, token.Length, lexer.LiteralKind)))
                    {
                        failure = LexFailure.TooManyLiterals;
                    }
                    else if (state.IsVerbatim)
                    {
                        form.AppendMark(NormalForm.VerbatimMark);
                        form.AppendRaw(token);
                    }
                    else
                    {
                        form.AppendMark((byte)lexer.LiteralKind);
                    }

                    break;
                case TokenKind.Parameter:
                    parameters = Math.Max(parameters, ParameterNumber(token));
                    form.AppendRaw(token);
                    break;
                case TokenKind.Unknown:
                    form.MarkNotCacheable();
                    break;
                case TokenKind.Punctuation:
                    if (!state.SeePunctuation(token[0], options.MaxDepth))
                    {
                        failure = LexFailure.TooDeep;
                    }

                    form.AppendRaw(token);
                    break;
                default:
                    form.AppendRaw(token);
                    break;
            }
        }

        if (state.First < 0)
        {
            state.First = end = text.Length;
        }

        failure = Check(text[Math.Min(state.First, text.Length)..next], failure, end - state.First, options);
        return new StatementBounds(failure, state.First, end, next, tokens, parameters, state.IsVerbatim);
    }

    /// <summary>
    /// Encoding is checked first, as PostgreSQL does: a text that is not valid has no tokens to speak of.
    /// </summary>
    private static LexFailure Check(ReadOnlySpan<byte> statement, LexFailure failure, int length, SqlOptions options)
    {
        if (statement.Contains((byte)0))
        {
            return LexFailure.NulByte;
        }

        if (!Utf8.IsValid(statement))
        {
            return LexFailure.InvalidUtf8;
        }

        return failure == LexFailure.None && length > options.MaxStatementBytes ? LexFailure.TooLong : failure;
    }

    /// <summary>
    /// Only for queries is the meaning of a statement, as a shape has it, the same whatever its literals say. In any other
    /// statement (SET, COPY, PREPARE TRANSACTION) they are part of the normal form.
    /// </summary>
    private static bool SharesLiterals(TokenKind kind, ReadOnlySpan<byte> first) => kind switch
    {
        TokenKind.Word => Words.Is(first, "select"u8) || Words.Is(first, "insert"u8) || Words.Is(first, "update"u8)
            || Words.Is(first, "delete"u8) || Words.Is(first, "with"u8) || Words.Is(first, "values"u8)
            || Words.Is(first, "merge"u8) || Words.Is(first, "table"u8),
        TokenKind.Punctuation => first[0] == '(',
        _ => false,
    };

    private static int ParameterNumber(ReadOnlySpan<byte> token)
    {
        var number = 0L;
        foreach (var c in token[1..])
        {
            number = Math.Min((number * 10) + (c - '0'), int.MaxValue);
        }

        return (int)number;
    }

    /// <summary>What decides whether a semicolon ends the statement, as psql's own lexer does it.</summary>
    private struct ScanState
    {
        public int First;
        public bool IsVerbatim;
        private int _depth;
        private int _parentheses;
        private int _bodyDepth;
        private bool _isCreate;
        private bool _isRoutine;
        private bool _sawBegin;

        public readonly bool EndsStatement => _parentheses == 0 && _bodyDepth == 0;

        public void SeeWord(ReadOnlySpan<byte> word, int ordinal)
        {
            if (word.Length == 7 && Words.Is(word, "uescape"u8))
            {
                // The literal that follows decides what an identifier is called.
                IsVerbatim = true;
            }

            if (ordinal == 1)
            {
                _isCreate = Words.Is(word, "create"u8);
            }
            else if (_isCreate)
            {
                SeeRoutineWord(word, ordinal);
            }
        }

        public bool SeePunctuation(byte c, int maxDepth)
        {
            switch (c)
            {
                case (byte)'(':
                    _parentheses++;
                    return ++_depth <= maxDepth;
                case (byte)'[':
                    return ++_depth <= maxDepth;
                case (byte)')':
                    _parentheses = Math.Max(0, _parentheses - 1);
                    _depth = Math.Max(0, _depth - 1);
                    return true;
                case (byte)']':
                    _depth = Math.Max(0, _depth - 1);
                    return true;
                default:
                    return true;
            }
        }

        /// <summary>CREATE [OR REPLACE] FUNCTION | PROCEDURE … BEGIN ATOMIC …; … END holds semicolons of its own.</summary>
        private void SeeRoutineWord(ReadOnlySpan<byte> word, int ordinal)
        {
            if (ordinal is 2 or 4 && (Words.Is(word, "function"u8) || Words.Is(word, "procedure"u8)))
            {
                _isRoutine = true;
            }

            if (!_isRoutine || _parentheses > 0)
            {
                return;
            }

            if (_bodyDepth == 0)
            {
                if (_sawBegin && Words.Is(word, "atomic"u8))
                {
                    _bodyDepth = 1;
                }

                _sawBegin = Words.Is(word, "begin"u8);
            }
            else if (Words.Is(word, "case"u8))
            {
                _bodyDepth++;
            }
            else if (Words.Is(word, "end"u8))
            {
                _bodyDepth--;
            }
        }
    }
}
