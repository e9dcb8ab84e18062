using NUnit.Framework;
using ShardProxy.Planning.Forecasting;

namespace ShardProxy.Unit.Tests.Planning.Forecasting;

// Protects: the planner falls back to the present load where this says that forecasts lose. It must score only what has come true.
public sealed class ForecastScoreboardTests
{
    private static readonly SeriesKey Series = new(1, long.MinValue, null);

    private static Forecast Flat(double value) => new([value, value], [value - 1, value - 1], [value + 1, value + 1]);

    [Test]
    public void Nothing_is_scored_before_the_whole_horizon_has_passed()
    {
        var board = new ForecastScoreboard();
        board.Issue(Series, 10, Flat(5), 4);

        board.Mature(11, (_, _) => 5);

        Assert.That(board.ScoreOf(Series), Is.Null);
    }

    [Test]
    public void Errors_of_forecast_and_naive_and_coverage_are_told()
    {
        var board = new ForecastScoreboard();
        board.Issue(Series, 10, Flat(5), 9);

        board.Mature(12, (_, bin) => bin == 10 ? 5.5 : 7);

        var score = board.ScoreOf(Series)!;
        Assert.That(score.Matured, Is.EqualTo(2));
        Assert.That(score.Error, Is.EqualTo(1.25).Within(0.05));
        Assert.That(score.NaiveError, Is.EqualTo(2.75).Within(0.05));
        Assert.That(score.Coverage, Is.EqualTo(0.5).Within(0.02));
        Assert.That(score.LosesToNaive, Is.False);
    }

    [Test]
    public void A_gap_is_not_scored()
    {
        var board = new ForecastScoreboard();
        board.Issue(Series, 10, Flat(5), 9);

        board.Mature(12, (_, _) => double.NaN);

        Assert.That(board.ScoreOf(Series), Is.Null);
    }

    [Test]
    public void Forecasts_that_lose_are_found_and_forgiven_when_they_win_again()
    {
        var board = new ForecastScoreboard();
        for (var bin = 0; bin < 30; bin++)
        {
            board.Issue(Series, bin, Flat(50), 10);
            board.Mature(bin + 2, (_, _) => 11);
        }

        Assert.That(board.ScoreOf(Series)!.LosesToNaive, Is.True);
        for (var bin = 30; bin < 200; bin++)
        {
            board.Issue(Series, bin, Flat(11), 30);
            board.Mature(bin + 2, (_, _) => 11);
        }

        Assert.That(board.ScoreOf(Series)!.LosesToNaive, Is.False);
    }
}
