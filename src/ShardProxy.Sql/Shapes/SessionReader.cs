using ShardProxy.Model.Topology;
using ShardProxy.Sql.Parsing;

namespace ShardProxy.Sql.Shapes;

/// <summary>Reads transaction statements and SET, RESET and SHOW.</summary>
internal sealed class SessionReader(TokenTable tokens)
{
    public static TransactionSummary? Transaction(TreeNode statement)
    {
        TransactionVerb? verb = statement.Text("kind") switch
        {
            "TRANS_STMT_BEGIN" => TransactionVerb.Begin,
            "TRANS_STMT_START" => TransactionVerb.StartTransaction,
            "TRANS_STMT_COMMIT" => TransactionVerb.Commit,
            "TRANS_STMT_ROLLBACK" => TransactionVerb.Rollback,
            "TRANS_STMT_SAVEPOINT" => TransactionVerb.Savepoint,
            "TRANS_STMT_RELEASE" => TransactionVerb.ReleaseSavepoint,
            "TRANS_STMT_ROLLBACK_TO" => TransactionVerb.RollbackToSavepoint,
            "TRANS_STMT_PREPARE" => TransactionVerb.Prepare,
            "TRANS_STMT_COMMIT_PREPARED" => TransactionVerb.CommitPrepared,
            "TRANS_STMT_ROLLBACK_PREPARED" => TransactionVerb.RollbackPrepared,
            _ => null,
        };
        if (verb is not { } known)
        {
            return null;
        }

        var hasOptions = statement.ListLength("options") > 0;
        var options = hasOptions ? Modes(statement.List("options")) : null;
        return hasOptions && options is null
            ? null
            : new TransactionSummary(known, statement.Flag("chain"), statement.Text("savepoint_name") ?? statement.Text("gid"), hasOptions, options);
    }

    public static VariableSummary Show(TreeNode statement) =>
        statement.Text("name") is { } name && !name.Equals("all", StringComparison.OrdinalIgnoreCase)
            ? new VariableSummary(VariableVerb.Show, Fold(name), null)
            : new VariableSummary(VariableVerb.ShowAll, "", null);

    /// <summary>SET and RESET; null for a form that is not known.</summary>
    public VariableSummary? Variable(TreeNode statement)
    {
        var name = statement.Text("name") ?? "";
        var isLocal = statement.Flag("is_local");
        switch (statement.Text("kind"))
        {
            case "VAR_SET_VALUE":
                return new VariableSummary(isLocal ? VariableVerb.SetLocal : VariableVerb.Set, Fold(name), Value(statement));
            case "VAR_SET_DEFAULT":
                return new VariableSummary(isLocal ? VariableVerb.SetLocal : VariableVerb.SetDefault, Fold(name), "DEFAULT");
            case "VAR_RESET":
                return new VariableSummary(VariableVerb.Reset, Fold(name), null);
            case "VAR_RESET_ALL":
                return new VariableSummary(VariableVerb.ResetAll, "", null);
            case "VAR_SET_MULTI" when name == "TRANSACTION" && Modes(statement.List("args")) is { } modes:
                return new VariableSummary(VariableVerb.SetTransaction, "", modes);
            case "VAR_SET_MULTI" when name == "SESSION CHARACTERISTICS" && Modes(statement.List("args")) is { } modes:
                return new VariableSummary(VariableVerb.SetSessionCharacteristics, "", modes);
            case "VAR_SET_MULTI" when name == "TRANSACTION SNAPSHOT":
                return new VariableSummary(VariableVerb.SetTransactionSnapshot, "", Value(statement));
            default:
                return null;
        }
    }

    /// <summary>PostgreSQL looks settings up without regard to case; quoted names come here unfolded.</summary>
    private static string Fold(string name) => name.ToLowerInvariant();

    private static string? Modes(IEnumerable<TreeNode> options)
    {
        var modes = new List<string>();
        foreach (var option in options)
        {
            if (!option.Is("DefElem", out var fields) || fields.Field("arg") is not { } argument || !argument.Is("A_Const", out var constant))
            {
                return null;
            }

            // A zero is printed as an empty object.
            var isOn = constant.Field("ival")?.Number("ival") == 1;
            switch (fields.Text("defname"))
            {
                case "transaction_isolation" when constant.Field("sval")?.Text("sval") is { } level:
                    modes.Add("ISOLATION LEVEL " + level.ToUpperInvariant());
                    break;
                case "transaction_read_only":
                    modes.Add(isOn ? "READ ONLY" : "READ WRITE");
                    break;
                case "transaction_deferrable":
                    modes.Add(isOn ? "DEFERRABLE" : "NOT DEFERRABLE");
                    break;
                default:
                    return null;
            }
        }

        return modes.Count == 0 ? null : string.Join(' ', modes);
    }

    /// <summary>
    /// The values as SQL text. Words and strings are the same to SET, so both become string literals; numbers are taken from
    /// the statement, sign included.
    /// </summary>
    private string? Value(TreeNode statement)
    {
        var parts = new List<string>();
        foreach (var argument in statement.List("args"))
        {
            if (!argument.Is("A_Const", out var constant))
            {
                return null;
            }

            var part = constant.Field("sval") is { } text ? SqlIdentifier.Literal(text.Text("sval") ?? "").TrimStart() : Number(constant.Location());
            if (part is null)
            {
                return null;
            }

            parts.Add(part);
        }

        return parts.Count == 0 ? null : string.Join(", ", parts);
    }

    private string? Number(int location)
    {
        var token = location < 0 ? -1 : tokens.At(location);
        if (token < 0)
        {
            return null;
        }

        var sign = tokens.IsSign(token, '-') ? "-" : "";
        token += sign.Length;
        return token < tokens.Count && tokens[token].Kind == Lexing.TokenKind.Literal && char.IsAsciiDigit((char)tokens.Bytes(token)[^1])
            ? sign + System.Text.Encoding.ASCII.GetString(tokens.Bytes(token))
            : null;
    }
}
