using ShardProxy.Admin.Console.Syntax;
using ShardProxy.Admin.Views;
using static ShardProxy.Admin.Views.ViewTable;

namespace ShardProxy.Admin.Console.Commands;

/// <summary>HELP: the grammar as rows.</summary>
internal static class HelpView
{
    public static ViewTable Statements() => new(
        [Text("statement"), Text("does"), Flag("available")],
        [.. ConsoleGrammar.Statements.Select(s => TopologyViews.Row(s.Syntax, s.Summary, s.IsAvailable))]);
}
