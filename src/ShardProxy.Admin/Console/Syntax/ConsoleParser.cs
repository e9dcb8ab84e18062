using System.Collections.Immutable;
using System.Globalization;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Plans;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;

namespace ShardProxy.Admin.Console.Syntax;

/// <summary>
/// Recursive descent over the console's grammar (<see cref="ConsoleGrammar"/>). Keywords are no reserved words: any name may be
/// written without quotes where a name is expected.
/// </summary>
internal sealed class ConsoleParser
{
    private const int MaxKeyColumns = 32;
    private readonly string _text;
    private readonly ConsoleLexer _lexer;
    private readonly List<string> _leadingWords = [];
    private ConsoleToken _firstToken;
    private ConsoleToken _token;

    private ConsoleParser(string text)
    {
        _text = text;
        _lexer = new ConsoleLexer(text);
        _token = _lexer.Next();
    }

    /// <summary>Parses one statement.</summary>
    /// <exception cref="ShardProxyException">42601 with position and a hint when it is none.</exception>
    public static ConsoleStatement Parse(string text)
    {
        var parser = new ConsoleParser(text);
        var statement = parser.Statement();
        parser.End();
        return statement;
    }

    private ConsoleStatement Statement()
    {
        if (_token.Kind == TokenKind.End || _token.IsSymbol(';'))
        {
            return new EmptyStatement();
        }

        return LeadingWord() switch
        {
            "shard" => ShardTable(),
            "replicate" => ReplicateTable(),
            "unshard" => UnshardTable(),
            "split" => SplitRange(),
            "merge" => MergeRanges(),
            "move" => MoveRange(),
            "cancel" => CancelMigration(),
            "rollback" => RollbackMigration(),
            "add" => AddNode(),
            "drain" => NodeCommand("DRAIN NODE"),
            "remove" => NodeCommand("REMOVE NODE"),
            "set" => SetPlannerMode(),
            "approve" => ApprovePlan(),
            "explain" => Explain(),
            "show" => Show(),
            "pause" => new PauseStatement(Database()),
            "resume" => new ResumeStatement(Database()),
            "reload" => new ReloadStatement(),
            "kill" => new KillStatement(Id("a session id")),
            "help" => new HelpStatement(),
            _ => throw Unexpected(_firstToken),
        };
    }

    private string LeadingWord()
    {
        _firstToken = _token;
        if (_token.Kind != TokenKind.Word)
        {
            throw Unexpected(_token);
        }

        return Take().Text;
    }

    private ShardTableStatement ShardTable()
    {
        Keyword("table");
        var table = Name();
        Keyword("by");
        var method = TryKeyword("range") ? ShardingMethod.Range : ShardingMethod.Hash;
        if (method == ShardingMethod.Hash)
        {
            Keyword("hash");
        }

        var columns = ImmutableArray.CreateBuilder<string>();
        Symbol('(');
        do
        {
            columns.Add(Identifier("a column"));
        }
        while (columns.Count < MaxKeyColumns && TrySymbol(','));
        Symbol(')');

        QualifiedName? with = null;
        if (TryKeyword("colocate"))
        {
            Keyword("with");
            with = Name();
        }

        var wait = !TryKeyword("nowait");
        return new ShardTableStatement(table, method, columns.ToImmutable(), with, wait);
    }

    private ReplicateTableStatement ReplicateTable()
    {
        Keyword("table");
        return new ReplicateTableStatement(Name(), !TryKeyword("nowait"));
    }

    private UnshardTableStatement UnshardTable()
    {
        Keyword("table");
        return new UnshardTableStatement(Name(), !TryKeyword("nowait"));
    }

    private SplitRangeStatement SplitRange()
    {
        Keyword("range");
        var range = Id("a range id");
        Keyword("at");
        Symbol('(');
        var start = _token.Start;
        var at = ImmutableArray.CreateBuilder<string>();
        do
        {
            at.Add(Bound());
        }
        while (at.Count < MaxKeyColumns && TrySymbol(','));
        Symbol(')');
        return new SplitRangeStatement(range, at.ToImmutable(), start + 1);
    }

    private string Bound()
    {
        var sign = TrySymbol('-') ? "-" : "";
        if (_token.Kind == TokenKind.Number || (sign.Length == 0 && _token.Kind == TokenKind.String))
        {
            return sign + Take().Text;
        }

        throw Unexpected(_token);
    }

    private MergeRangesStatement MergeRanges()
    {
        Keyword("ranges");
        var first = Id("a range id");
        Symbol(',');
        return new MergeRangesStatement(first, Id("a range id"));
    }

    private MoveRangeStatement MoveRange()
    {
        Keyword("range");
        var range = Id("a range id");
        Keyword("to");
        var node = Identifier("a node name");
        return new MoveRangeStatement(range, node, !TryKeyword("nowait"));
    }

    private CancelMigrationStatement CancelMigration()
    {
        Keyword("migration");
        return new CancelMigrationStatement(Id("a migration id"));
    }

    private RollbackMigrationStatement RollbackMigration()
    {
        Keyword("migration");
        var migration = Id("a migration id");
        return new RollbackMigrationStatement(migration, !TryKeyword("nowait"));
    }

    private UnavailableStatement AddNode()
    {
        Keyword("node");
        Identifier("a node name");
        if (_token.Kind != TokenKind.String)
        {
            throw Unexpected(_token);
        }

        Take();
        if (TryKeyword("capacity"))
        {
            if (_token.Kind != TokenKind.Number)
            {
                throw Unexpected(_token);
            }

            Take();
        }

        return new UnavailableStatement("ADD NODE");
    }

    private UnavailableStatement NodeCommand(string name)
    {
        Keyword("node");
        Identifier("a node name");
        return new UnavailableStatement(name);
    }

    private SetPlannerModeStatement SetPlannerMode()
    {
        Keyword("planner");
        Keyword("mode");
        PlannerMode mode = _token switch
        {
            _ when _token.Is("off") => PlannerMode.Off,
            _ when _token.Is("advise") => PlannerMode.Advise,
            _ when _token.Is("approve") => PlannerMode.Approve,
            _ when _token.Is("automatic") => PlannerMode.Automatic,
            _ => throw Unexpected(_token),
        };
        Take();
        string? group = null;
        if (TryKeyword("for"))
        {
            Keyword("group");
            group = Identifier("a group name");
        }

        return new SetPlannerModeStatement(mode, group);
    }

    private ApprovePlanStatement ApprovePlan()
    {
        Keyword("plan");
        return new ApprovePlanStatement(Id("a plan id"));
    }

    private ConsoleStatement Explain()
    {
        if (TryKeyword("plan"))
        {
            return new ExplainPlanStatement(Id("a plan id"));
        }

        if (!_token.Is("route"))
        {
            throw Unexpected(_token);
        }

        // The rest is SQL for the router, not for this grammar: no token of it is read.
        var sql = _text[_token.End..].Trim();
        if (sql.TrimEnd(';').Length == 0)
        {
            throw ConsoleErrors.Syntax("EXPLAIN ROUTE needs a statement", _token.End, "Write: EXPLAIN ROUTE SELECT ...");
        }

        _token = new ConsoleToken(TokenKind.End, "", _text.Length, _text.Length);
        return new ExplainRouteStatement(sql);
    }

    private ConsoleStatement Show()
    {
        if (_token.Kind != TokenKind.Word)
        {
            throw Unexpected(_token);
        }

        var at = _token;
        var word = Remember(Take()).Text;
        return word switch
        {
            "nodes" => new ShowStatement(ConsoleView.Nodes),
            "tables" => new ShowStatement(ConsoleView.Tables),
            "groups" => new ShowStatement(ConsoleView.Groups),
            "ranges" => new ShowStatement(ConsoleView.Ranges),
            "load" => new ShowStatement(ConsoleView.Load),
            "forecasts" => new ShowStatement(ConsoleView.Forecasts),
            "plans" => new ShowStatement(ConsoleView.Plans),
            "migrations" => new ShowStatement(ConsoleView.Migrations),
            "drift" => new ShowStatement(ConsoleView.Drift),
            "proxies" => new ShowStatement(ConsoleView.Proxies),
            "redirections" => new ShowStatement(ConsoleView.Redirections),
            "sessions" => new ShowStatement(ConsoleView.Sessions),
            "pools" => new ShowStatement(ConsoleView.Pools),
            "statements" => new ShowStatement(ConsoleView.Statements),
            "config" => new ShowStatement(ConsoleView.Config),
            "version" => new ShowStatement(ConsoleView.Version),
            "help" => new HelpStatement(),
            "graph" or "alerts" => new UnavailableStatement("SHOW " + word.ToUpperInvariant()),
            "hot" => HotKeys(),
            _ => throw Unexpected(at),
        };
    }

    private UnavailableStatement HotKeys()
    {
        Keyword("keys");
        return new UnavailableStatement("SHOW HOT KEYS");
    }

    private string? Database() => _token.Kind is TokenKind.Word or TokenKind.QuotedIdentifier ? Take().Text : null;

    private void End()
    {
        while (TrySymbol(';'))
        {
        }

        if (_token.Kind != TokenKind.End)
        {
            throw Unexpected(_token);
        }
    }

    /// <summary>A table name; unqualified means schema <c>public</c>, since a console session has no search path.</summary>
    private QualifiedName Name()
    {
        var first = Identifier("a table name");
        return TrySymbol('.') ? new QualifiedName(first, Identifier("a table name")) : new QualifiedName("public", first);
    }

    private string Identifier(string what) =>
        _token.Kind is TokenKind.Word or TokenKind.QuotedIdentifier ? Take().Text : throw Unexpected(_token, what);

    private int Id(string what)
    {
        if (_token.Kind == TokenKind.Number && int.TryParse(_token.Text, NumberStyles.None, CultureInfo.InvariantCulture, out var id))
        {
            Take();
            return id;
        }

        throw Unexpected(_token, what);
    }

    private void Keyword(string keyword)
    {
        if (!_token.Is(keyword))
        {
            throw Unexpected(_token, keyword.ToUpperInvariant());
        }

        Remember(Take());
    }

    private bool TryKeyword(string keyword)
    {
        if (!_token.Is(keyword))
        {
            return false;
        }

        Remember(Take());
        return true;
    }

    private void Symbol(char symbol)
    {
        if (!TrySymbol(symbol))
        {
            throw Unexpected(_token, "\"" + symbol + "\"");
        }
    }

    private bool TrySymbol(char symbol)
    {
        if (!_token.IsSymbol(symbol))
        {
            return false;
        }

        Take();
        return true;
    }

    private ConsoleToken Take()
    {
        var taken = _token;
        if (_leadingWords.Count == 0)
        {
            Remember(taken);
        }

        _token = _lexer.Next();
        return taken;
    }

    private ConsoleToken Remember(ConsoleToken token)
    {
        if (token.Kind == TokenKind.Word)
        {
            _leadingWords.Add(token.Text);
        }

        return token;
    }

    /// <summary>
    /// A syntax error at <paramref name="token"/>, with the nearest statement as the hint. Strings and numbers are not repeated: they
    /// are values.
    /// </summary>
    private ShardProxyException Unexpected(ConsoleToken token, string? expected = null)
    {
        var message = token.Kind switch
        {
            TokenKind.End => "syntax error at end of input",
            TokenKind.Word or TokenKind.Symbol or TokenKind.QuotedIdentifier => $"syntax error at or near \"{_text[token.Start..token.End].Trim('"')}\"",
            _ => "syntax error at or near a literal",
        };
        if (token.Kind == TokenKind.Word && !_leadingWords.Contains(token.Text))
        {
            _leadingWords.Add(token.Text);
        }

        var nearest = ConsoleGrammar.Nearest(_leadingWords.Count == 0 ? ["HELP"] : _leadingWords.ToArray());
        var wanted = expected is null ? "" : $"Expected {expected}. ";
        return ConsoleErrors.Syntax(message, token.Start, $"{wanted}Did you mean: {nearest.Syntax}? HELP lists all statements.");
    }
}
