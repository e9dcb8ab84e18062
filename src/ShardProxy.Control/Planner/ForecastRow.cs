namespace ShardProxy.Control.Planner;

/// <summary>One row of <c>SHOW FORECASTS</c>; loads in statements per second.</summary>
/// <param name="Step">From 1.</param>
/// <param name="At">Start of the step.</param>
/// <param name="Model">As in <see cref="RangeLoadRow.Model"/>.</param>
public sealed record ForecastRow(int RangeId, int Step, DateTimeOffset At, double Forecast, double Lower, double Upper, string Model);
