namespace ShardProxy.Sql;

/// <summary>What a statement is, as far as routing tells statements apart.</summary>
public enum StatementKind
{
    /// <summary>PostgreSQL 15's grammar does not know it: a mistake, or newer syntax.</summary>
    Unparsable,

    /// <summary>SELECT, VALUES and TABLE, unless they create a table.</summary>
    Select,
    Insert,
    Update,
    Delete,
    Merge,
    Copy,

    /// <summary>BEGIN to ROLLBACK PREPARED; details in <see cref="StatementShape.Transaction"/>.</summary>
    Transaction,

    /// <summary>SET and RESET in all forms, SET TRANSACTION included.</summary>
    SetVariable,
    ShowVariable,
    Prepare,
    Execute,
    Deallocate,
    Discard,
    Listen,
    Notify,
    Unlisten,
    DeclareCursor,

    /// <summary>FETCH and MOVE.</summary>
    Fetch,
    Close,
    Explain,

    /// <summary>CREATE TABLE, CREATE FOREIGN TABLE, CREATE TABLE AS and SELECT INTO.</summary>
    CreateTable,

    /// <summary>ALTER TABLE and what renames a table or its columns.</summary>
    AlterTable,
    DropTable,
    CreateIndex,
    DropIndex,
    Truncate,

    /// <summary>VACUUM and ANALYZE.</summary>
    Vacuum,
    Lock,

    /// <summary>Every other statement that changes the schema, roles or rights.</summary>
    OtherDdl,

    /// <summary>DO, CALL, CHECKPOINT, LOAD, SET CONSTRAINTS and the like.</summary>
    Other,
}
