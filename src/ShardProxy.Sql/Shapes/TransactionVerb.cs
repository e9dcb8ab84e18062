namespace ShardProxy.Sql;

/// <summary>The transaction statements. END is a Commit, ABORT a Rollback. SET TRANSACTION is a variable statement.</summary>
public enum TransactionVerb
{
    Begin,
    StartTransaction,
    Commit,
    Rollback,
    Savepoint,
    ReleaseSavepoint,
    RollbackToSavepoint,
    Prepare,
    CommitPrepared,
    RollbackPrepared,
}
