namespace ShardProxy.Planning.Forecasting;

/// <summary>
/// One cheap way to forecast. A model is stateless: everything it learns, it learns inside <see cref="Run"/> from the values it
/// is given, so that every forecast can be replayed.
/// </summary>
public interface IForecastModel
{
    /// <summary>Short stable name, as in <c>SHOW FORECASTS</c>.</summary>
    string Name { get; }

    /// <summary>Fewest values it can forecast from.</summary>
    int MinimumLength { get; }

    /// <summary>
    /// Walks once over the series and forecasts at every origin. An origin o is a number of known values: its forecast may use
    /// only <c>values[..o]</c>; parameters are learned from <c>values[..origins[0]]</c> only, so that no forecast sees its future.
    /// </summary>
    /// <param name="values">The series, oldest first, without gaps.</param>
    /// <param name="origins">Ascending, each at least <see cref="MinimumLength"/> and at most the length of the series.</param>
    /// <param name="horizon">Steps ahead.</param>
    /// <param name="forecasts">Result, <paramref name="horizon"/> values for each origin in turn.</param>
    void Run(ReadOnlySpan<double> values, ReadOnlySpan<int> origins, int horizon, Span<double> forecasts);
}
