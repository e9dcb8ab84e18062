using ShardProxy.Sql.Parsing;

namespace ShardProxy.Sql.Shapes;

/// <summary>Reads what utility statements are about. Relations that stand in them as such are listed by the query walker.</summary>
internal sealed class UtilityReader(ShapeDraft draft)
{
    private readonly List<ObjectName> _names = [];

    /// <param name="node">The statement's node type.</param>
    /// <param name="fields">Its fields; relations in it must be listed already.</param>
    public UtilitySummary Read(string node, TreeNode fields)
    {
        var kind = Kind(node, fields);
        ReadNames(node, fields);
        return new UtilitySummary(
            kind,
            Verb(node, fields),
            [.. _names],
            fields.Flag("concurrent") || HasOption(fields, "concurrently"),
            IsTemporary(node, fields),
            fields.Text("behavior") == "DROP_CASCADE",
            fields.Flag("missing_ok") || fields.Flag("if_not_exists"));
    }

    /// <summary>PreventInTransactionBlock in PostgreSQL's sources (utility.c and the commands' own files).</summary>
    public static bool ForbidsTransactionBlock(string node, TreeNode fields) => node switch
    {
        "VacuumStmt" => fields.Flag("is_vacuumcmd"),
        "IndexStmt" or "DropStmt" => fields.Flag("concurrent"),
        "ReindexStmt" => HasOption(fields, "concurrently")
            || fields.Text("kind") is "REINDEX_OBJECT_SCHEMA" or "REINDEX_OBJECT_SYSTEM" or "REINDEX_OBJECT_DATABASE",
        "ClusterStmt" => !fields.Has("relation"),
        "CreatedbStmt" or "DropdbStmt" or "CreateTableSpaceStmt" or "DropTableSpaceStmt" or "AlterSystemStmt"
            or "CreateSubscriptionStmt" or "DropSubscriptionStmt" or "AlterSubscriptionStmt" => true,
        "AlterDatabaseStmt" => HasOption(fields, "tablespace"),
        "DiscardStmt" => fields.Text("target") is null or "DISCARD_ALL",
        "TransactionStmt" => fields.Text("kind") is "TRANS_STMT_COMMIT_PREPARED" or "TRANS_STMT_ROLLBACK_PREPARED",
        "AlterTableStmt" => fields.List("cmds").Any(c => c.Is("AlterTableCmd", out var command)
            && command.Field("def") is { } definition && definition.Is("PartitionCmd", out var partition) && partition.Flag("concurrent")),
        _ => false,
    };

    private static UtilityObject Kind(string node, TreeNode fields) => node switch
    {
        "CreateStmt" or "CreateForeignTableStmt" or "SelectStmt" or "TruncateStmt" or "VacuumStmt" or "LockStmt" or "ClusterStmt" => UtilityObject.Table,
        "CreateTableAsStmt" or "AlterTableStmt" => ByName(fields.Text("objtype")),
        "RenameStmt" => ByName(fields.Text("renameType") == "OBJECT_COLUMN" ? fields.Text("relationType") : fields.Text("renameType")),
        "AlterObjectSchemaStmt" or "AlterOwnerStmt" or "AlterObjectDependsStmt" => ByName(fields.Text("objectType")),
        "DropStmt" => ByName(fields.Text("removeType")),
        "GrantStmt" when fields.Text("targtype") == "ACL_TARGET_ALL_IN_SCHEMA" => UtilityObject.Privileges,
        "CommentStmt" or "SecLabelStmt" or "GrantStmt" => ByName(fields.Text("objtype")),
        "DefineStmt" => ByName(fields.Text("kind")),
        "IndexStmt" or "ReindexStmt" => UtilityObject.Index,
        "ViewStmt" => UtilityObject.View,
        "RefreshMatViewStmt" => UtilityObject.MaterializedView,
        "CreateSchemaStmt" => UtilityObject.Schema,
        "CreateEnumStmt" or "CompositeTypeStmt" or "CreateDomainStmt" or "CreateRangeStmt" or "AlterEnumStmt" or "AlterDomainStmt"
            or "AlterTypeStmt" => UtilityObject.Type,
        "CreateFunctionStmt" or "AlterFunctionStmt" => UtilityObject.Function,
        "CreateExtensionStmt" or "AlterExtensionStmt" or "AlterExtensionContentsStmt" => UtilityObject.Extension,
        "CreateSeqStmt" or "AlterSeqStmt" => UtilityObject.Sequence,
        "CreatedbStmt" or "DropdbStmt" or "AlterDatabaseStmt" or "AlterDatabaseSetStmt" => UtilityObject.Database,
        "CreateCastStmt" or "CreateTransformStmt" or "CreateOpClassStmt" or "CreateOpFamilyStmt" or "AlterOpFamilyStmt" or "AlterOperatorStmt" or "CreateConversionStmt"
            or "CreatePLangStmt" or "AlterCollationStmt" or "AlterTSConfigurationStmt" or "AlterTSDictionaryStmt" or "CreateAmStmt" or "AlterStatsStmt" => UtilityObject.Code,
        "AlterDefaultPrivilegesStmt" or "ReassignOwnedStmt" or "DropOwnedStmt" => UtilityObject.Privileges,
        "CreateRoleStmt" or "AlterRoleStmt" or "AlterRoleSetStmt" or "DropRoleStmt" or "GrantRoleStmt" => UtilityObject.Role,
        _ => UtilityObject.Other,
    };

    private static UtilityVerb Verb(string node, TreeNode fields) => node switch
    {
        "RenameStmt" or "AlterObjectSchemaStmt" => UtilityVerb.Rename,
        "DropStmt" or "DropRoleStmt" or "DropdbStmt" or "DropOwnedStmt" => UtilityVerb.Drop,
        "GrantStmt" or "GrantRoleStmt" or "AlterDefaultPrivilegesStmt" => UtilityVerb.Grant,
        "CommentStmt" or "SecLabelStmt" => UtilityVerb.Comment,
        "DefineStmt" or "CompositeTypeStmt" or "IndexStmt" or "ViewStmt" => UtilityVerb.Create,
        _ when node.StartsWith("Create", StringComparison.Ordinal) => UtilityVerb.Create,
        _ when node.StartsWith("Alter", StringComparison.Ordinal) || node == "ReassignOwnedStmt" => UtilityVerb.Alter,
        _ => UtilityVerb.Other,
    };

    private static UtilityObject ByName(string? objectType) => objectType switch
    {
        "OBJECT_TABLE" or "OBJECT_FOREIGN_TABLE" or "OBJECT_COLUMN" or "OBJECT_TABCONSTRAINT" => UtilityObject.Table,
        "OBJECT_INDEX" => UtilityObject.Index,
        "OBJECT_VIEW" => UtilityObject.View,
        "OBJECT_MATVIEW" => UtilityObject.MaterializedView,
        "OBJECT_SCHEMA" => UtilityObject.Schema,
        "OBJECT_TYPE" or "OBJECT_DOMAIN" or "OBJECT_ATTRIBUTE" or "OBJECT_DOMCONSTRAINT" => UtilityObject.Type,
        "OBJECT_FUNCTION" or "OBJECT_PROCEDURE" or "OBJECT_ROUTINE" or "OBJECT_AGGREGATE" => UtilityObject.Function,
        "OBJECT_EXTENSION" => UtilityObject.Extension,
        "OBJECT_SEQUENCE" => UtilityObject.Sequence,
        "OBJECT_DATABASE" => UtilityObject.Database,
        "OBJECT_ROLE" => UtilityObject.Role,
        "OBJECT_OPERATOR" or "OBJECT_OPCLASS" or "OBJECT_OPFAMILY" or "OBJECT_CAST" or "OBJECT_COLLATION" or "OBJECT_CONVERSION" or "OBJECT_LANGUAGE" or "OBJECT_TRANSFORM"
            or "OBJECT_ACCESS_METHOD" or "OBJECT_TSCONFIGURATION" or "OBJECT_TSDICTIONARY" or "OBJECT_TSPARSER" or "OBJECT_TSTEMPLATE" or "OBJECT_STATISTIC_EXT" => UtilityObject.Code,
        _ => UtilityObject.Other,
    };

    private void ReadNames(string node, TreeNode fields)
    {
        switch (node)
        {
            case "DropStmt":
                foreach (var item in fields.List("objects"))
                {
                    ReadObject(item, fields.Text("removeType"));
                }

                break;
            case "CommentStmt" or "SecLabelStmt":
                if (fields.Field("object") is { } commented)
                {
                    ReadObject(commented, fields.Text("objtype"));
                }

                break;
            case "GrantStmt" when fields.Text("targtype") == "ACL_TARGET_OBJECT" && fields.Text("objtype") is not ("OBJECT_TABLE" or "OBJECT_SEQUENCE" or "OBJECT_LARGEOBJECT"):
                foreach (var granted in fields.List("objects"))
                {
                    ReadObject(granted, fields.Text("objtype"));
                }

                break;
            case "RenameStmt" when fields.Text("renameType") == "OBJECT_SCHEMA":
                AddName(null, fields.Text("subname"));
                break;
            case "RenameStmt" or "AlterObjectSchemaStmt" or "AlterOwnerStmt" when fields.Field("object") is { } changed:
                ReadObject(changed, null);
                break;
            case "DefineStmt":
                AddNames(fields.List("defnames").AsNames());
                break;
            case "AlterFunctionStmt":
                AddNames(fields.Field("func")?.List("objname").AsNames());
                break;
            case "AlterDomainStmt" or "AlterTypeStmt":
                AddNames(fields.List("typeName").AsNames());
                break;
            case "IndexStmt":
                AddName(fields.Field("relation")?.Text("schemaname"), fields.Text("idxname"));
                break;
            case "CreateSchemaStmt":
                AddName(null, fields.Text("schemaname"));
                break;
            case "CreateExtensionStmt" or "AlterExtensionStmt" or "AlterExtensionContentsStmt":
                AddName(null, fields.Text("extname"));
                break;
            case "CreatedbStmt" or "DropdbStmt" or "AlterDatabaseStmt" or "AlterDatabaseSetStmt":
                AddName(null, fields.Text("dbname"));
                break;
            case "CreateRoleStmt":
                AddName(null, fields.Text("role"));
                break;
            case "AlterRoleStmt":
                AddName(null, fields.Field("role")?.Text("rolename"));
                break;
            case "CreateFunctionStmt":
                AddNames(fields.List("funcname").AsNames());
                break;
            case "CreateEnumStmt" or "CreateRangeStmt" or "AlterEnumStmt":
                AddNames(fields.List("typeName").AsNames());
                break;
            case "CreateDomainStmt":
                AddNames(fields.List("domainname").AsNames());
                break;
            case "TruncateStmt" or "LockStmt":
                foreach (var item in fields.List("relations"))
                {
                    AddRangeVar(item.Is("RangeVar", out var rangeVar) ? rangeVar : item);
                }

                break;
            case "VacuumStmt":
                foreach (var item in fields.List("rels"))
                {
                    AddRangeVar(item.Is("VacuumRelation", out var relation) ? relation.Field("relation") : null);
                }

                break;
            default:
                AddRangeVar(Subject(node, fields));
                break;
        }
    }

    /// <summary>The relation that the statement makes or changes.</summary>
    private static TreeNode? Subject(string node, TreeNode fields) => node switch
    {
        "CreateForeignTableStmt" => fields.Field("base")?.Field("relation"),
        "CreateTableAsStmt" => fields.Field("into")?.Field("rel"),
        "SelectStmt" => fields.Field("intoClause")?.Field("rel"),
        "ViewStmt" => fields.Field("view"),
        "CreateSeqStmt" or "AlterSeqStmt" => fields.Field("sequence"),
        "CompositeTypeStmt" => fields.Field("typevar"),
        _ => fields.Field("relation"),
    };

    private static bool IsTemporary(string node, TreeNode fields)
    {
        if (Subject(node, fields) is not { } subject)
        {
            return false;
        }

        return subject.Text("relpersistence") == "t" || subject.Text("schemaname") == "pg_temp";
    }

    /// <summary>One object of DROP or COMMENT. Tables in it are plain names to the grammar, so they are listed here.</summary>
    private void ReadObject(TreeNode item, string? objectType)
    {
        if (item.AsString() is { } single)
        {
            AddName(null, single);
            return;
        }

        if (item.Is("ObjectWithArgs", out var routine))
        {
            AddNames(routine.List("objname").AsNames());
            return;
        }

        if (item.Is("TypeName", out var type))
        {
            AddNames(type.List("names").AsNames());
            return;
        }

        if (item.AsList().AsNames() is not { Count: > 0 } names)
        {
            return;
        }

        AddNames(names);
        switch (objectType)
        {
            case "OBJECT_TABLE" or "OBJECT_FOREIGN_TABLE" or "OBJECT_VIEW" or "OBJECT_MATVIEW" or "OBJECT_SEQUENCE":
                AddRelation(names);
                break;
            case "OBJECT_TRIGGER" or "OBJECT_RULE" or "OBJECT_POLICY" or "OBJECT_COLUMN" or "OBJECT_TABCONSTRAINT" when names.Count > 1:
                AddRelation(names[..^1]);
                break;
            default:
                break;
        }
    }

    private void AddRelation(List<string> names) =>
        draft.AddRelation(names.Count > 1 ? names[^2] : null, names[^1], RelationRole.Utility);

    private void AddNames(List<string>? names)
    {
        if (names is { Count: > 0 })
        {
            _names.Add(new ObjectName(names.Count > 1 ? names[^2] : null, names[^1]));
        }
    }

    private void AddName(string? schema, string? name)
    {
        if (name is not null)
        {
            _names.Add(new ObjectName(schema, name));
        }
    }

    private void AddRangeVar(TreeNode? rangeVar)
    {
        if (rangeVar is { } fields)
        {
            AddName(fields.Text("schemaname"), fields.Text("relname"));
        }
    }

    /// <summary>True when an option is given and not switched off.</summary>
    private static bool HasOption(TreeNode fields, string name)
    {
        foreach (var list in (ReadOnlySpan<string>)["params", "options"])
        {
            foreach (var option in fields.List(list))
            {
                if (option.Is("DefElem", out var element) && element.Text("defname") == name)
                {
                    return true;
                }
            }
        }

        return false;
    }
}
