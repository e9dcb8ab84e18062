using NUnit.Framework;
using ShardProxy.Planning.Forecasting;

namespace ShardProxy.Unit.Tests.Planning.Forecasting;

// Protects: a model that sees its future looks brilliant in every backtest and is worthless. Also each model's defining property.
public sealed class ForecastModelTests
{
    private static IEnumerable<IForecastModel> Models() =>
    [
        new NaiveModel(), new SeasonalNaiveModel(12), new SeasonalMeanModel(12), new SmoothingModel([], false), new SmoothingModel([12], false),
        new SmoothingModel([12], true), new SmoothingModel([12, 36], true),
    ];

    [TestCaseSource(nameof(Models))]
    public void No_forecast_depends_on_values_after_its_origin(IForecastModel model)
    {
        const int Seed = 99;
        TestContext.Out.WriteLine($"seed {Seed}");
        var random = new Random(Seed);
        var values = Enumerable.Range(0, 200).Select(i => 50 + (20 * Math.Sin(i * Math.PI / 6)) + random.NextDouble()).ToArray();
        int[] origins = [100, 120, 150];
        var forecasts = new double[origins.Length * 5];
        model.Run(values, origins, 5, forecasts);

        for (var i = 0; i < origins.Length; i++)
        {
            var changed = values.ToArray();
            for (var t = origins[i]; t < changed.Length; t++)
            {
                changed[t] = 1e6 * random.NextDouble();
            }

            var again = new double[forecasts.Length];
            model.Run(changed, origins, 5, again);
            Assert.That(again[..((i + 1) * 5)], Is.EqualTo(forecasts[..((i + 1) * 5)]), $"origin {origins[i]}");
        }
    }

    [TestCaseSource(nameof(Models))]
    public void A_constant_stays_constant(IForecastModel model)
    {
        var values = Enumerable.Repeat(7.0, 120).ToArray();
        var forecast = new double[6];

        model.Run(values, [120], 6, forecast);

        Assert.That(forecast, Is.All.EqualTo(7.0).Within(1e-6));
    }

    [Test]
    public void Seasonal_models_follow_a_pure_season_exactly()
    {
        var values = Enumerable.Range(0, 96).Select(i => 10.0 + (i % 12)).ToArray();
        foreach (var model in new IForecastModel[] { new SeasonalNaiveModel(12), new SeasonalMeanModel(12), new SmoothingModel([12], true), new SmoothingModel([12], false) })
        {
            var forecast = new double[18];
            model.Run(values, [96], 18, forecast);
            Assert.That(forecast, Is.EqualTo(Enumerable.Range(96, 18).Select(i => 10.0 + (i % 12))).Within(0.05), model.Name);
        }
    }

    [Test]
    public void Smoothing_follows_a_trend_and_dampens_it()
    {
        var values = Enumerable.Range(0, 100).Select(i => 100.0 + (3 * i)).ToArray();
        var forecast = new double[50];

        new SmoothingModel([], false).Run(values, [100], 50, forecast);

        Assert.That(forecast[0], Is.EqualTo(400).Within(6));
        Assert.That(forecast[^1], Is.GreaterThan(forecast[0]));
        Assert.That(forecast[^1] - forecast[^2], Is.LessThan(forecast[1] - forecast[0]));
    }
}
