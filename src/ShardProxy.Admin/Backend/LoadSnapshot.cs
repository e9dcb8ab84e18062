namespace ShardProxy.Admin.Backend;

/// <summary>What a load figure is about.</summary>
public enum LoadSubject
{
    Node,
    Range,
}

/// <summary>Load of a node or a range over the last full window.</summary>
/// <param name="Subject">Node or range.</param>
/// <param name="Id">Its id.</param>
/// <param name="CallsPerSecond">Statements a second.</param>
/// <param name="WriteShare">Share of them that write, 0 to 1; null where it is not recorded.</param>
/// <param name="RowsPerSecond">Rows returned or changed a second.</param>
/// <param name="BytesPerSecond">Bytes to and from the servers a second.</param>
/// <param name="BusyShare">Server time spent, in seconds a second: 1 is one connection always busy.</param>
/// <param name="WindowEnd">End of the window.</param>
public sealed record LoadSnapshot(
    LoadSubject Subject, int Id, double CallsPerSecond, double? WriteShare, double RowsPerSecond, double BytesPerSecond, double BusyShare,
    DateTimeOffset WindowEnd);
