namespace ShardProxy.Model.Workload;

/// <summary>Load of one range over one bin, each a rate per second.</summary>
/// <param name="Statements">Statements.</param>
/// <param name="Writes">Those of them that write; NaN when the bin is too old for the detail to be kept.</param>
/// <param name="Rows">Rows returned or changed; NaN when not kept.</param>
/// <param name="Bytes">Bytes to and from the server; NaN when not kept.</param>
/// <param name="Busy">Seconds of server time: the mean number of statements in service.</param>
public readonly record struct RangeBinLoad(double Statements, double Writes, double Rows, double Bytes, double Busy);
