namespace ShardProxy.Sql;

/// <summary>What is done with a configuration variable.</summary>
public enum VariableVerb
{
    Set,

    /// <summary>SET LOCAL, with a value or DEFAULT.</summary>
    SetLocal,

    /// <summary>SET … TO DEFAULT for the session.</summary>
    SetDefault,
    Reset,
    ResetAll,
    Show,
    ShowAll,

    /// <summary>SET TRANSACTION: modes in the value text.</summary>
    SetTransaction,

    /// <summary>SET SESSION CHARACTERISTICS AS TRANSACTION: modes in the value text.</summary>
    SetSessionCharacteristics,

    /// <summary>SET TRANSACTION SNAPSHOT.</summary>
    SetTransactionSnapshot,
}
