using System.Collections.Immutable;
using NUnit.Framework;
using ShardProxy.Planning.Forecasting;

namespace ShardProxy.Unit.Tests.Planning.Forecasting;

// Protects: the planner acts on these numbers. They must be better than taking the last value where the load has a shape, hold the
// promised share of actual values, never be negative or NaN, and say so when there is too little to go on.
public sealed class ForecastEngineTests
{
    private const int Seed = 20260105;

    private static ForecastEngine Engine(int horizon = 12, double level = 0.9, params ImmutableArray<int> seasons) =>
        new(new ForecastOptions { Horizon = horizon, Level = level, Seasons = seasons });

    private static double[] Seasonal(int length, int season, double noise, int seed = Seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, length).Select(i => 100 + (60 * Math.Sin(2 * Math.PI * i / season)) + (noise * Normal(random)))];
    }

    private static double Normal(Random random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());

    [Test]
    public void A_daily_shape_is_forecast_far_better_than_by_the_last_value([Values(true, false)] bool isSeasonGiven)
    {
        TestContext.Out.WriteLine($"seed {Seed}");
        var values = Seasonal(24 * 8, 24, 8);
        var engine = isSeasonGiven ? Engine(12, 0.9, 24) : Engine();
        double error = 0, naive = 0;
        for (var origin = 24 * 5; origin + 12 <= values.Length; origin += 5)
        {
            var result = engine.Forecast(values.AsSpan(0, origin));
            Assert.That(result.IsPredictive, Is.True, $"origin {origin}");
            Assert.That(result.Seasons.ToArray(), Is.EqualTo(new[] { 24 }), $"origin {origin}");
            for (var h = 0; h < 12; h++)
            {
                error += Math.Abs(values[origin + h] - result.Forecast.Point[h]);
                naive += Math.Abs(values[origin + h] - values[origin - 1]);
            }
        }

        Assert.That(error, Is.LessThan(0.3 * naive));
    }

    [Test]
    public void Intervals_hold_about_the_promised_share_of_values([Values(0.8, 0.9)] double level)
    {
        TestContext.Out.WriteLine($"seeds {Seed} to {Seed + 39}");
        var engine = Engine(6, level, 24);
        int inside = 0, above = 0, count = 0;
        for (var series = 0; series < 40; series++)
        {
            var values = Seasonal(24 * 7, 24, 10, Seed + series);
            for (var origin = values.Length - 30; origin + 6 <= values.Length; origin += 8)
            {
                var forecast = engine.Forecast(values.AsSpan(0, origin)).Forecast;
                for (var h = 0; h < 6; h++)
                {
                    var value = values[origin + h];
                    inside += value >= forecast.Lower[h] && value <= forecast.Upper[h] ? 1 : 0;
                    above += value > forecast.Upper[h] ? 1 : 0;
                    count++;
                }
            }
        }

        Assert.That((double)inside / count, Is.InRange(level - 0.06, Math.Min(0.995, level + 0.12)));
        Assert.That((double)above / count, Is.LessThan(((1 - level) / 2) + 0.05), "the planner acts on the upper end");
    }

    [Test]
    public void The_same_values_give_the_same_forecast()
    {
        var values = Seasonal(200, 24, 10);

        var first = Engine(12, 0.9, 24).Forecast(values).Forecast;
        var second = Engine(12, 0.9, 24).Forecast(values).Forecast;

        Assert.That(second.Point, Is.EqualTo(first.Point));
        Assert.That(second.Upper, Is.EqualTo(first.Upper));
    }

    [Test]
    public void Forecasts_and_bounds_are_finite_ordered_and_not_negative_for_any_series()
    {
        TestContext.Out.WriteLine($"seed {Seed}");
        var random = new Random(Seed);
        for (var round = 0; round < 300; round++)
        {
            var kind = random.Next(6);
            var values = new double[random.Next(0, 150)];
            for (var i = 0; i < values.Length; i++)
            {
                values[i] = kind switch
                {
                    0 => 0,
                    1 => random.Next(20) == 0 ? random.Next(1000) : 0,
                    2 => Math.Max(0, 1000 - (20 * i)),
                    3 => i == values.Length - 1 ? 1e9 : 1,
                    4 => Math.Exp(random.NextDouble() * 20),
                    _ => random.NextDouble(),
                };
                if (random.Next(5) == 0)
                {
                    values[i] = double.NaN;
                }
            }

            var forecast = (random.Next(2) == 0 ? Engine(7, 0.95, 12, 48) : Engine(7)).Forecast(values).Forecast;
            for (var h = 0; h < 7; h++)
            {
                Assert.That(double.IsFinite(forecast.Upper[h]), Is.True, $"round {round}, kind {kind}");
                Assert.That(forecast.Lower[h], Is.GreaterThanOrEqualTo(0), $"round {round}, kind {kind}");
                Assert.That(forecast.Lower[h], Is.LessThanOrEqualTo(forecast.Point[h]), $"round {round}, kind {kind}");
                Assert.That(forecast.Point[h], Is.LessThanOrEqualTo(forecast.Upper[h]), $"round {round}, kind {kind}");
            }
        }
    }

    [Test]
    public void A_constant_series_gets_its_value_and_no_width()
    {
        var result = Engine(12, 0.9, 24).Forecast([.. Enumerable.Repeat(42.0, 100)]);

        Assert.That(result.Forecast.Point, Is.All.EqualTo(42).Within(1e-6));
        Assert.That(result.Forecast.Upper, Is.All.EqualTo(42).Within(1e-6));
        Assert.That(result.IsPredictive, Is.True);
    }

    [Test]
    public void Too_short_a_series_is_carried_on_widely_and_not_called_predictive([Values(1, 2, 3, 5)] int length)
    {
        var result = Engine(12, 0.9, 24).Forecast([.. Enumerable.Range(0, length).Select(i => 10.0 + i)]);

        Assert.That(result.IsPredictive, Is.False);
        Assert.That(result.Forecast.Point[0], Is.EqualTo(9.0 + length).Within(2));
        Assert.That(result.Forecast.Upper[0], Is.GreaterThan(result.Forecast.Point[0]));
    }

    [Test]
    public void Nothing_observed_is_unknown()
    {
        var result = Engine().Forecast([double.NaN, double.NaN]);

        Assert.That(result.Model, Is.EqualTo("none"));
        Assert.That(result.IsPredictive, Is.False);
        Assert.That(result.Forecast.Point, Is.All.Zero);
    }

    [Test]
    public void A_gap_does_not_spoil_the_season()
    {
        TestContext.Out.WriteLine($"seed {Seed}");
        var values = Seasonal(24 * 8, 24, 3);
        var holed = values.ToArray();
        for (var i = 70; i < 90; i++)
        {
            holed[i] = double.NaN;
        }

        for (var i = 24 * 6; i < (24 * 6) + 6; i++)
        {
            holed[i] = double.NaN;
        }

        var result = Engine(12, 0.9, 24).Forecast(holed.AsSpan(0, 24 * 7));

        for (var h = 0; h < 12; h++)
        {
            Assert.That(result.Forecast.Point[h], Is.EqualTo(values[(24 * 7) + h]).Within(15), $"step {h + 1}");
        }
    }

    [Test]
    public void A_random_walk_gets_a_level_forecast()
    {
        TestContext.Out.WriteLine($"seed {Seed}");
        var random = new Random(Seed);
        var values = new double[300];
        values[0] = 500;
        for (var i = 1; i < values.Length; i++)
        {
            values[i] = Math.Max(0, values[i - 1] + (10 * Normal(random)));
        }

        var result = Engine(12, 0.9, 24).Forecast(values);

        Assert.That(result.BacktestError, Is.LessThanOrEqualTo(result.NaiveError));
        Assert.That(result.Forecast.Point, Is.All.EqualTo(values[^1]).Within(60));
    }

    [Test]
    public void Two_seasons_are_both_found_and_used()
    {
        TestContext.Out.WriteLine($"seed {Seed}");
        var random = new Random(Seed);
        var values = Enumerable.Range(0, 12 * 7 * 6)
            .Select(i => 100 + (40 * Math.Sin(2 * Math.PI * i / 12)) + ((i / 12) % 7 >= 5 ? -50 : 0) + Normal(random))
            .ToArray();

        Assert.That(SeasonDetector.Detect(values), Is.EqualTo([12, 84]));
        var origin = values.Length - 24;
        var forecast = Engine(24, 0.9, 12, 84).Forecast(values.AsSpan(0, origin)).Forecast;
        var error = Enumerable.Range(0, 24).Average(h => Math.Abs(values[origin + h] - forecast.Point[h]));
        Assert.That(error, Is.LessThan(8));
    }

    [Test]
    public void Noise_has_no_season()
    {
        TestContext.Out.WriteLine($"seeds {Seed} to {Seed + 19}");
        for (var s = 0; s < 20; s++)
        {
            var random = new Random(Seed + s);
            Assert.That(SeasonDetector.Detect([.. Enumerable.Range(0, 300).Select(_ => Normal(random))]), Is.Empty, $"seed {Seed + s}");
        }
    }
}
