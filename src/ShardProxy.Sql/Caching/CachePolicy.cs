namespace ShardProxy.Sql.Caching;

/// <summary>Which shapes are kept.</summary>
internal static class CachePolicy
{
    private const int MaxRelations = 128;
    private const int MaxEqualities = 1_024;

    /// <param name="shape">The shape.</param>
    /// <param name="isVerbatim">Its normal form holds its literals.</param>
    /// <param name="options">Bounds.</param>
    public static bool IsShared(StatementShape shape, bool isVerbatim, SqlOptions options)
    {
        // Whether a text parses can depend on a literal (E'\u00', float(99)): one bad text must not make its siblings bad.
        if (shape.Kind == StatementKind.Unparsable || shape.Unsupported is not null)
        {
            return false;
        }

        // Bulk inserts come in any number of rows: each would be a shape of its own.
        if (shape.Insert is { } insert && insert.RowCount > options.MaxCachedRows)
        {
            return false;
        }

        // A statement over very many relations is no everyday one, and its shape is large.
        if (shape.Relations.Length > MaxRelations || shape.Equalities.Length > MaxEqualities)
        {
            return false;
        }

        // Schema statements come once, and may hold passwords; statements whose literals are part of their normal form are
        // worth keeping only where clients repeat them word for word.
        return shape.Kind switch
        {
            StatementKind.CreateTable or StatementKind.AlterTable or StatementKind.DropTable or StatementKind.CreateIndex
                or StatementKind.DropIndex or StatementKind.OtherDdl or StatementKind.Other => !isVerbatim,
            StatementKind.SetVariable or StatementKind.Copy => true,
            _ => !isVerbatim || shape.LiteralCount == 0,
        };
    }
}
