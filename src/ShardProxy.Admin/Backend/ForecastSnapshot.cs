namespace ShardProxy.Admin.Backend;

/// <summary>One forecast step of one range, in statements a second.</summary>
/// <param name="RangeId">The range.</param>
/// <param name="Step">1 is the next bin.</param>
/// <param name="At">Start of the bin.</param>
/// <param name="Forecast">The point forecast.</param>
/// <param name="Lower">Lower end of the interval.</param>
/// <param name="Upper">Upper end, what the planner acts on.</param>
/// <param name="Model">The model that made it.</param>
public sealed record ForecastSnapshot(int RangeId, int Step, DateTimeOffset At, double Forecast, double Lower, double Upper, string Model);
