using System.Collections.Immutable;
using ShardProxy.Model.Console;

namespace ShardProxy.Admin.Views;

/// <summary>
/// A result with typed cells, before it becomes console text or JSON. A cell is null or of its column's type: string, long (or
/// int), double, bool, <see cref="DateTimeOffset"/>.
/// </summary>
/// <param name="Columns">Columns in order; they only grow at the end.</param>
/// <param name="Rows">Rows in order, each as long as the columns.</param>
internal sealed record ViewTable(ImmutableArray<ConsoleColumn> Columns, ImmutableArray<ImmutableArray<object?>> Rows)
{
    public static ConsoleColumn Text(string name) => new(name, ConsoleColumnType.Text);

    public static ConsoleColumn Integer(string name) => new(name, ConsoleColumnType.Int8);

    public static ConsoleColumn Number(string name) => new(name, ConsoleColumnType.Float8);

    public static ConsoleColumn Flag(string name) => new(name, ConsoleColumnType.Boolean);

    public static ConsoleColumn Time(string name) => new(name, ConsoleColumnType.TimestampTz);
}
