using System.Collections.Immutable;

namespace ShardProxy.Sql;

/// <summary>The parts of a COPY. Options not written have PostgreSQL's defaults for the format.</summary>
/// <param name="IsFrom">COPY FROM.</param>
/// <param name="Relation">Index into <see cref="StatementShape.Relations"/>; null for COPY (query).</param>
/// <param name="Columns">Column list as written; empty when none.</param>
/// <param name="IsStdio">STDIN or STDOUT; else a file or program of the server.</param>
/// <param name="Format">Data format.</param>
/// <param name="Delimiter">Column delimiter.</param>
/// <param name="Quote">CSV quote.</param>
/// <param name="Escape">CSV escape.</param>
/// <param name="NullText">The text that stands for NULL.</param>
/// <param name="HasHeader">The first line is a header.</param>
/// <param name="HasHeaderMatch">HEADER MATCH: the header must name the columns.</param>
/// <param name="Encoding">ENCODING as written, or null.</param>
/// <param name="HasForceNotNull">FORCE_NOT_NULL: values that look like NULL are none. FORCE_NULL and FORCE_QUOTE change nothing that can be routed.</param>
/// <param name="HasWhere">COPY FROM … WHERE.</param>
/// <param name="Freeze">FREEZE.</param>
/// <param name="HasUnknownOptions">
/// An option is not known here, given twice, or has a value that is not understood: the data cannot be read for sure.
/// </param>
public sealed record CopySummary(
    bool IsFrom,
    int? Relation,
    ImmutableArray<string> Columns,
    bool IsStdio,
    CopyFormat Format,
    byte Delimiter,
    byte Quote,
    byte Escape,
    string NullText,
    bool HasHeader,
    bool HasHeaderMatch,
    string? Encoding,
    bool HasForceNotNull,
    bool HasWhere,
    bool Freeze,
    bool HasUnknownOptions);
