namespace ShardProxy.Admin.Backend;

/// <summary>Matured forecasts of one range against what came, in statements a second.</summary>
/// <param name="RangeId">The range.</param>
/// <param name="MeanAbsoluteError">Of the forecasts in use.</param>
/// <param name="NaiveMeanAbsoluteError">Of "it stays as it is now", made at the same moments.</param>
/// <param name="Matured">How many forecasts the figures are over.</param>
public sealed record ForecastScore(int RangeId, double MeanAbsoluteError, double NaiveMeanAbsoluteError, long Matured);
