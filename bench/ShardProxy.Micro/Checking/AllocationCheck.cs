using System.Globalization;
using System.IO.Enumeration;
using System.Reflection;
using BenchmarkDotNet.Attributes;

namespace ShardProxy.Micro.Checking;

/// <summary>
/// Runs the body of every benchmark for a moment and compares the bytes it allocates with what it promises. No timing: it may run on
/// a busy machine and in continuous integration.
/// </summary>
/// <remarks>
/// Knows what the benchmarks here use: <c>[Benchmark]</c>, <c>[Params]</c>, <c>[GlobalSetup]</c>, <c>[GlobalCleanup]</c>, methods that return at
/// once. Anything else is an error, not an omission.
/// </remarks>
internal static class AllocationCheck
{
    private const int WarmCalls = 2_000;
    private const int MeasuredCalls = 10_000;

    /// <summary>Checks all benchmarks whose <c>Class.Method</c> matches the pattern; true if each allocates exactly what it promises.</summary>
    public static bool Run(Assembly assembly, string pattern, TextWriter output)
    {
        int checkedCases = 0, failures = 0;
        foreach (var method in assembly.GetTypes().SelectMany(t => t.GetMethods()).Where(m => m.GetCustomAttribute<BenchmarkAttribute>() is not null))
        {
            var name = $"{method.DeclaringType!.Name}.{method.Name}";
            if (!FileSystemName.MatchesSimpleExpression(pattern, name))
            {
                continue;
            }

            foreach (var parameters in Combinations(method.DeclaringType))
            {
                checkedCases++;
                var problem = Check(method, parameters, out var bytes);
                failures += problem is null ? 0 : 1;
                var shown = string.Join(", ", parameters.Select(p => string.Create(CultureInfo.InvariantCulture, $"{p.Property.Name}={p.Value}")));
                output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{(problem is null ? "ok  " : "FAIL")} {name}({shown}): {bytes:0.##} B{(problem is null ? "" : ", " + problem)}"));
            }
        }

        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{checkedCases} cases, {failures} failed"));
        return failures == 0 && checkedCases > 0;
    }

    private static string? Check(MethodInfo method, IReadOnlyList<(PropertyInfo Property, object? Value)> parameters, out double bytesPerCall)
    {
        bytesPerCall = double.NaN;
        if (method.GetCustomAttribute<ExpectedAllocatedBytesAttribute>() is not { } expected)
        {
            return "it does not say what it allocates: add [ExpectedAllocatedBytes]";
        }

        var instance = Activator.CreateInstance(method.DeclaringType!)!;
        foreach (var (property, value) in parameters)
        {
            property.SetValue(instance, value);
        }

        Invoke<GlobalSetupAttribute>(instance);
        try
        {
            var body = Body(method, instance);
            for (var i = 0; i < WarmCalls; i++)
            {
                body();
            }

            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var i = 0; i < MeasuredCalls; i++)
            {
                body();
            }

            var allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            bytesPerCall = (double)allocated / MeasuredCalls;

            // The whole sum is compared: one byte in ten thousand calls is an allocation too.
            return allocated == expected.Bytes * MeasuredCalls ? null : $"expected {expected.Bytes} B";
        }
        finally
        {
            Invoke<GlobalCleanupAttribute>(instance);
        }
    }

    /// <summary>A delegate to the benchmark that neither boxes its result nor lets it be optimised away.</summary>
    private static Action Body(MethodInfo method, object instance)
    {
        if (method.ReturnType == typeof(void))
        {
            return method.CreateDelegate<Action>(instance);
        }

        if (typeof(Task).IsAssignableFrom(method.ReturnType) || method.ReturnType.Name.StartsWith("ValueTask", StringComparison.Ordinal))
        {
            throw new NotSupportedException($"{method.DeclaringType!.Name}.{method.Name}: an asynchronous benchmark cannot be checked on one thread");
        }

        var typed = method.CreateDelegate(typeof(Func<>).MakeGenericType(method.ReturnType), instance);
        return (Action)typeof(AllocationCheck).GetMethod(nameof(Consume), BindingFlags.NonPublic | BindingFlags.Static)!
            .MakeGenericMethod(method.ReturnType).Invoke(null, [typed])!;
    }

    private static Action Consume<T>(Func<T> body) => () => Sink<T>.Value = body();

    private static void Invoke<TAttribute>(object instance)
        where TAttribute : Attribute
    {
        foreach (var method in instance.GetType().GetMethods().Where(m => m.GetCustomAttribute<TAttribute>() is not null))
        {
            method.Invoke(instance, null);
        }
    }

    /// <summary>Every combination of the values of the class's <c>[Params]</c> properties; one empty one when it has none.</summary>
    private static IEnumerable<IReadOnlyList<(PropertyInfo Property, object? Value)>> Combinations(Type type)
    {
        IEnumerable<IReadOnlyList<(PropertyInfo, object?)>> all = [[]];
        foreach (var property in type.GetProperties())
        {
            if (property.GetCustomAttribute<ParamsAttribute>() is { } values)
            {
                all = all.SelectMany(soFar => values.Values.Select(v => (IReadOnlyList<(PropertyInfo, object?)>)[.. soFar, (property, v)]));
            }
        }

        return all;
    }

    private static class Sink<T>
    {
        public static T? Value { get; set; }
    }
}
