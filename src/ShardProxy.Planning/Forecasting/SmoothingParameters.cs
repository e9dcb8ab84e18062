namespace ShardProxy.Planning.Forecasting;

/// <summary>Parameters of <see cref="SmoothingModel"/>, all within 0 to 1.</summary>
/// <param name="Level">How much of an error goes into the level.</param>
/// <param name="Trend">How much of an error goes into the trend.</param>
/// <param name="Damping">What is left of the trend after each step.</param>
/// <param name="Season">How much of an error goes into the seasonal terms.</param>
/// <param name="Carry">What is left of the last error after each step: first-order autocorrelation of the residuals.</param>
internal readonly record struct SmoothingParameters(double Level, double Trend, double Damping, double Season, double Carry);
