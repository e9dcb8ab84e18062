using ShardProxy.Planning.Forecasting;

namespace ShardProxy.Planning.Placement;

/// <summary>What one range asks for.</summary>
/// <param name="Forecast">Its predicted load.</param>
/// <param name="Bytes">Its size; 0 when unknown.</param>
/// <param name="IsMovable">False while it is being moved or its group is not the planner's to change.</param>
public sealed record RangeDemand(RangeForecast Forecast, long Bytes, bool IsMovable);
