namespace ShardProxy.Model.Keys;

/// <summary>What kind of numeric a value is, in PostgreSQL's order.</summary>
internal enum NumericClass : byte
{
    NegativeInfinity = 0,
    Negative = 1,
    Zero = 2,
    Positive = 3,
    Infinity = 4,
    NaN = 5,
}
