using ShardProxy.Admin.Views;
using static ShardProxy.Admin.Views.TopologyViews;
using static ShardProxy.Admin.Views.ViewTable;

namespace ShardProxy.Admin.Console.Commands;

/// <summary>The built-in types console columns have, in the shape of Npgsql's type query (OIDs from pg_type.dat).</summary>
internal static class DriverTypes
{
    public static ViewTable Base() => new(
        [Text("nspname"), Integer("oid"), Text("typname"), Text("typtype"), Flag("typnotnull"), Integer("elemtypoid")],
        [
            Type(16, "bool"), Type(20, "int8"), Type(21, "int2"), Type(23, "int4"), Type(25, "text"), Type(26, "oid"), Type(701, "float8"),
            Type(705, "unknown"), Type(1043, "varchar"), Type(1184, "timestamptz"),
        ]);

    private static System.Collections.Immutable.ImmutableArray<object?> Type(int oid, string name) => Row("pg_catalog", oid, name, "b", false, null);
}
