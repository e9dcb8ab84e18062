namespace ShardProxy.Planning.Forecasting;

/// <summary>Names the load series of an interval of a group's key space, whatever range or node it belongs to.</summary>
public readonly record struct SeriesKey(int GroupId, long From, long? To);
