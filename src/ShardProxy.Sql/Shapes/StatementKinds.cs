using ShardProxy.Sql.Parsing;

namespace ShardProxy.Sql.Shapes;

/// <summary>The kind of a statement by its node.</summary>
internal static class StatementKinds
{
    public static StatementKind Of(string node, TreeNode fields) => node switch
    {
        "SelectStmt" => StatementKind.Select,
        "InsertStmt" => StatementKind.Insert,
        "UpdateStmt" => StatementKind.Update,
        "DeleteStmt" => StatementKind.Delete,
        "MergeStmt" => StatementKind.Merge,
        "CopyStmt" => StatementKind.Copy,
        "TransactionStmt" => StatementKind.Transaction,
        "VariableSetStmt" => StatementKind.SetVariable,
        "VariableShowStmt" => StatementKind.ShowVariable,
        "PrepareStmt" => StatementKind.Prepare,
        "ExecuteStmt" => StatementKind.Execute,
        "DeallocateStmt" => StatementKind.Deallocate,
        "DiscardStmt" => StatementKind.Discard,
        "ListenStmt" => StatementKind.Listen,
        "NotifyStmt" => StatementKind.Notify,
        "UnlistenStmt" => StatementKind.Unlisten,
        "DeclareCursorStmt" => StatementKind.DeclareCursor,
        "FetchStmt" => StatementKind.Fetch,
        "ClosePortalStmt" => StatementKind.Close,
        "ExplainStmt" => StatementKind.Explain,
        "CreateStmt" or "CreateForeignTableStmt" => StatementKind.CreateTable,
        "CreateTableAsStmt" => IsTable(fields, "objtype") ? StatementKind.CreateTable : StatementKind.OtherDdl,
        "AlterTableStmt" => IsTable(fields, "objtype") ? StatementKind.AlterTable : StatementKind.OtherDdl,
        "AlterObjectSchemaStmt" => IsTable(fields, "objectType") ? StatementKind.AlterTable : StatementKind.OtherDdl,
        "RenameStmt" => IsTableRename(fields) ? StatementKind.AlterTable : StatementKind.OtherDdl,
        "DropStmt" => Drop(fields.Text("removeType")),
        "IndexStmt" => StatementKind.CreateIndex,
        "TruncateStmt" => StatementKind.Truncate,
        "VacuumStmt" => StatementKind.Vacuum,
        "LockStmt" => StatementKind.Lock,
        "DoStmt" or "CallStmt" or "CheckPointStmt" or "LoadStmt" or "ConstraintsSetStmt" => StatementKind.Other,
        _ => StatementKind.OtherDdl,
    };

    private static bool IsTable(TreeNode fields, string field) => fields.Text(field) is "OBJECT_TABLE" or "OBJECT_FOREIGN_TABLE";

    private static bool IsTableRename(TreeNode fields) => fields.Text("renameType") switch
    {
        "OBJECT_TABLE" or "OBJECT_FOREIGN_TABLE" or "OBJECT_TABCONSTRAINT" => true,
        "OBJECT_COLUMN" => IsTable(fields, "relationType"),
        _ => false,
    };

    private static StatementKind Drop(string? removeType) => removeType switch
    {
        "OBJECT_TABLE" or "OBJECT_FOREIGN_TABLE" => StatementKind.DropTable,
        "OBJECT_INDEX" => StatementKind.DropIndex,
        _ => StatementKind.OtherDdl,
    };
}
