using System.Collections.Frozen;
using System.Text;
using ShardProxy.Admin.Backend;
using ShardProxy.Admin.Console.Syntax;
using ShardProxy.Admin.Views;
using ShardProxy.Model.Console;

namespace ShardProxy.Admin.Console.Commands;

/// <summary>
/// What psql, Npgsql and pgjdbc send by themselves (settings, transaction brackets, connection checks, the load of the type
/// catalog), answered so that they can connect. The console has no transactions and no settings: those do nothing.
/// </summary>
internal sealed class DriverAnswers(ProductInfo product)
{
    private const int MaxWords = 64;

    private static readonly FrozenDictionary<string, string> Settings = new Dictionary<string, string>
    {
        ["server_version"] = "15.0",
        ["server_version_num"] = "150000",
        ["server_encoding"] = "UTF8",
        ["client_encoding"] = "UTF8",
        ["standard_conforming_strings"] = "on",
        ["datestyle"] = "ISO, MDY",
        ["intervalstyle"] = "postgres",
        ["integer_datetimes"] = "on",
        ["timezone"] = "UTC",
        ["time zone"] = "UTC",
        ["search_path"] = "public",
        ["application_name"] = "",
        ["extra_float_digits"] = "1",
        ["max_identifier_length"] = "63",
        ["is_superuser"] = "off",
        ["in_hot_standby"] = "off",
        ["transaction_read_only"] = "off",
        ["default_transaction_read_only"] = "off",
        ["transaction_isolation"] = "read committed",
        ["transaction isolation level"] = "read committed",
    }.ToFrozenDictionary(StringComparer.Ordinal);

    /// <summary>The answer, or null when the statement is the console's own.</summary>
    /// <exception cref="Model.Errors.ShardProxyException">0A000: it is SQL that the console does not run.</exception>
    public ConsoleReply? TryAnswer(string statement, string user)
    {
        var lexer = new ConsoleLexer(statement);
        var first = lexer.Next();
        if (first.Kind != TokenKind.Word)
        {
            return null;
        }

        return first.Text switch
        {
            "set" => lexer.Next().Is("planner") ? null : ConsoleReply.Done("SET"),
            "reset" => ConsoleReply.Done("RESET"),
            "begin" => ConsoleReply.Done("BEGIN"),
            "start" => ConsoleReply.Done("START TRANSACTION"),
            "commit" or "end" => ConsoleReply.Done("COMMIT"),
            "rollback" => lexer.Next().Is("migration") ? null : ConsoleReply.Done("ROLLBACK"),
            "discard" => ConsoleReply.Done("DISCARD ALL"),
            "deallocate" => ConsoleReply.Done("DEALLOCATE ALL"),
            "close" => ConsoleReply.Done("CLOSE CURSOR ALL"),
            "unlisten" => ConsoleReply.Done("UNLISTEN"),
            "show" => Show(Words(lexer)),
            "select" => Select(Words(lexer), user) ?? throw ConsoleErrors.NotAnswered(),
            "insert" or "update" or "delete" or "with" or "values" or "copy" or "create" or "alter" or "drop" or "table" or "truncate"
                => throw ConsoleErrors.NotAnswered(),
            _ => null,
        };
    }

    private static ConsoleReply? Show(string name) => Settings.TryGetValue(name, out var value) ? One(name, value) with { CommandTag = "SHOW" } : null;

    private ConsoleReply? Select(string words, string user)
    {
        switch (words)
        {
            case "1":
                return Selected(new ViewTable([ViewTable.Integer("?column?")], [TopologyViews.Row(1)]));
            case "version ( )" or "pg_catalog . version ( )":
                return One("version", $"PostgreSQL {Settings["server_version"]} (ShardProxy {product.Version} admin console)");
            case "current_schema ( )" or "current_schema":
                return One("current_schema", "public");
            case "current_database ( )":
                return One("current_database", "shardproxy");
            case "current_user" or "session_user" or "user":
                return One(words, user);
            case "pg_is_in_recovery ( )":
                return Selected(new ViewTable([ViewTable.Flag("pg_is_in_recovery")], [TopologyViews.Row(false)]));
            case "pg_advisory_unlock_all ( )":
                return One("pg_advisory_unlock_all", "");
        }

        // Npgsql loads the type catalog when it first meets a server: base types, then fields of composites, then enum labels.
        if (words.StartsWith("ns . nspname , t . oid , t . typname , t . typtype , t . typnotnull , t . elemtypoid", StringComparison.Ordinal))
        {
            return Selected(DriverTypes.Base());
        }

        if (words.StartsWith("typ . oid , att . attname , att . atttypid", StringComparison.Ordinal))
        {
            return Selected(new ViewTable([ViewTable.Integer("oid"), ViewTable.Text("attname"), ViewTable.Integer("atttypid")], []));
        }

        return words.StartsWith("typ . oid , enumlabel", StringComparison.Ordinal)
            ? Selected(new ViewTable([ViewTable.Integer("oid"), ViewTable.Text("enumlabel")], []))
            : null;
    }

    private static ConsoleReply One(string column, string value) => Selected(new ViewTable([ViewTable.Text(column)], [TopologyViews.Row(value)]));

    private static ConsoleReply Selected(ViewTable table) => ViewText.Reply(table) with { CommandTag = $"SELECT {table.Rows.Length}" };

    /// <summary>
    /// The rest of the statement as folded tokens with a blank between, without a closing semicolon; cut after as many tokens as any known
    /// question has.
    /// </summary>
    private static string Words(ConsoleLexer lexer)
    {
        var words = new StringBuilder();
        for (var i = 0; i < MaxWords; i++)
        {
            var token = lexer.Next();
            if (token.Kind == TokenKind.End || token.IsSymbol(';'))
            {
                break;
            }

            // A string may not pass for the word inside it.
            var text = token.Kind is TokenKind.String or TokenKind.QuotedIdentifier ? "'" : token.Text;
            words.Append(i == 0 ? "" : " ").Append(text);
        }

        return words.ToString();
    }
}
