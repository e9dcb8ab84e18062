using System.Collections.Immutable;
using ShardProxy.Model.Plans;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;

namespace ShardProxy.Admin.Console.Syntax;

/// <summary>A console statement, parsed.</summary>
internal abstract record ConsoleStatement;

internal sealed record EmptyStatement : ConsoleStatement;

internal sealed record HelpStatement : ConsoleStatement;

internal sealed record ShowStatement(ConsoleView View) : ConsoleStatement;

internal sealed record ShardTableStatement(QualifiedName Table, ShardingMethod Method, ImmutableArray<string> KeyColumns, QualifiedName? ColocateWith, bool Wait)
    : ConsoleStatement;

internal sealed record ReplicateTableStatement(QualifiedName Table, bool Wait) : ConsoleStatement;

internal sealed record SplitRangeStatement(int RangeId, ImmutableArray<string> At, int AtPosition) : ConsoleStatement;

internal sealed record MergeRangesStatement(int FirstId, int SecondId) : ConsoleStatement;

internal sealed record MoveRangeStatement(int RangeId, string Node, bool Wait) : ConsoleStatement;

internal sealed record UnshardTableStatement(QualifiedName Table, bool Wait) : ConsoleStatement;

internal sealed record CancelMigrationStatement(int MigrationId) : ConsoleStatement;

internal sealed record RollbackMigrationStatement(int MigrationId, bool Wait) : ConsoleStatement;

internal sealed record SetPlannerModeStatement(PlannerMode Mode, string? Group) : ConsoleStatement;

internal sealed record ApprovePlanStatement(int PlanId) : ConsoleStatement;

internal sealed record ExplainPlanStatement(int PlanId) : ConsoleStatement;

internal sealed record ExplainRouteStatement(string Sql) : ConsoleStatement;

/// <param name="Database">Null for all that are in use.</param>
internal sealed record PauseStatement(string? Database) : ConsoleStatement;

/// <param name="Database">Null for all that are paused.</param>
internal sealed record ResumeStatement(string? Database) : ConsoleStatement;

internal sealed record ReloadStatement : ConsoleStatement;

internal sealed record KillStatement(int SessionId) : ConsoleStatement;

/// <summary>A statement of the grammar that this version has nothing behind.</summary>
/// <param name="Name">Its name, such as <c>UNSHARD TABLE</c>.</param>
internal sealed record UnavailableStatement(string Name) : ConsoleStatement;
