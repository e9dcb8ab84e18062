using System.Collections.Immutable;
using ShardProxy.Model.Errors;

namespace ShardProxy.Model.Console;

/// <summary>The PostgreSQL type a console column is described as. Values travel as text.</summary>
public enum ConsoleColumnType
{
    Text,
    Int8,
    Float8,
    Boolean,
    TimestampTz,
}

/// <summary>One column of a console result.</summary>
public sealed record ConsoleColumn(string Name, ConsoleColumnType Type);

/// <summary>The result of one console statement.</summary>
public sealed record ConsoleReply
{
    /// <summary>Columns; empty for a command without rows.</summary>
    public ImmutableArray<ConsoleColumn> Columns { get; init; } = [];

    /// <summary>Rows in order; each as long as <see cref="Columns"/>; null is SQL NULL.</summary>
    public ImmutableArray<ImmutableArray<string?>> Rows { get; init; } = [];

    /// <summary>PostgreSQL's command tag, such as <c>SHOW 3</c> or <c>MOVE RANGE</c>.</summary>
    public string CommandTag { get; init; } = "";

    /// <summary>Notices to send before the result, severity NOTICE.</summary>
    public ImmutableArray<string> Notices { get; init; } = [];

    /// <summary>Set when the statement failed; everything else but notices is then ignored.</summary>
    public ShardProxyError? Error { get; init; }

    public static ConsoleReply Done(string commandTag, params ImmutableArray<string> notices) => new() { CommandTag = commandTag, Notices = notices };

    public static ConsoleReply Failed(ShardProxyError error) => new() { Error = error };
}
