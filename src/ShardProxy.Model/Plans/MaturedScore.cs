namespace ShardProxy.Model.Plans;

/// <summary>How a series' forecasts did once their time had come.</summary>
/// <param name="Matured">Steps scored so far.</param>
/// <param name="Error">Mean absolute error, newer steps weighing more.</param>
/// <param name="NaiveError">The same for the naive forecasts made at the same moments.</param>
/// <param name="Coverage">Share of values inside the interval, 0 to 1.</param>
public sealed record MaturedScore(long Matured, double Error, double NaiveError, double Coverage)
{
    private const int EnoughToJudge = 24;

    /// <summary>True when enough has matured and the naive forecasts were clearly better.</summary>
    public bool LosesToNaive => Matured >= EnoughToJudge && Error > 1.05 * NaiveError;
}
