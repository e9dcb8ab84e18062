namespace ShardProxy.Model.Keys;

/// <summary>
/// The ISO 8601 text forms of date and timestamp, which mean the same under every DateStyle (PostgreSQL documentation, section 8.5.1): <c>2026-01-31</c>,
/// <c>2026-01-31 10:20:30.5</c>, a <c>T</c> between the two, an offset behind, BC behind that; <c>infinity</c> and <c>-infinity</c>. Whatever else the
/// server may understand is unsupported.
/// </summary>
internal ref struct TimeText
{
    private const long MicrosPerSecond = 1_000_000;
    private const long MicrosPerDay = 86_400 * MicrosPerSecond;

    // Years that are far enough from the ends of both types' ranges.
    private const int FirstYear = -4711, LastYear = 290_000;
    private ReadOnlySpan<byte> _rest;

    private TimeText(ReadOnlySpan<byte> text) => _rest = text;

    /// <summary>Days since 2000-01-01; the infinities are <see cref="int.MinValue"/> and <see cref="int.MaxValue"/>.</summary>
    public static KeyHashOutcome TryDate(ReadOnlySpan<byte> text, out long days)
    {
        var outcome = TryTimestamp(text, isUtc: null, out var micros, out var isDate);
        days = micros switch
        {
            long.MinValue => int.MinValue,
            long.MaxValue => int.MaxValue,
            _ => micros / MicrosPerDay,
        };
        return outcome == KeyHashOutcome.Ok && !isDate ? KeyHashOutcome.Unsupported : outcome;
    }

    /// <summary>Microseconds since 2000-01-01; the infinities are <see cref="long.MinValue"/> and <see cref="long.MaxValue"/>.</summary>
    /// <param name="text">The value's characters.</param>
    /// <param name="isUtc">
    /// Null for a timestamp without time zone, whose input ignores an offset; else whether values without one are UTC.
    /// </param>
    /// <param name="micros">The moment, when the outcome is Ok.</param>
    public static KeyHashOutcome TryTimestamp(ReadOnlySpan<byte> text, bool? isUtc, out long micros) => TryTimestamp(text, isUtc, out micros, out _);

    /// <summary>Microseconds at the start of a day; the infinities stay.</summary>
    public static long OfDay(long days) => days switch
    {
        int.MinValue => long.MinValue,
        int.MaxValue => long.MaxValue,
        _ => days * MicrosPerDay,
    };

    /// <summary>The moment as a column timestamp(<paramref name="precision"/>) stores it.</summary>
    public static long Round(long micros, int precision)
    {
        if (precision is < 0 or >= 6 || micros is long.MinValue or long.MaxValue)
        {
            return micros;
        }

        var unit = (long)Math.Pow(10, 6 - precision);
        return micros >= 0 ? (micros + (unit / 2)) / unit * unit : -((-micros + (unit / 2)) / unit * unit);
    }

    private static KeyHashOutcome TryTimestamp(ReadOnlySpan<byte> text, bool? isUtc, out long micros, out bool isDate)
    {
        isDate = true;
        micros = 0;
        text = text.Trim((byte)' ');
        if (System.Text.Ascii.EqualsIgnoreCase(text, "infinity"u8) || System.Text.Ascii.EqualsIgnoreCase(text, "-infinity"u8))
        {
            micros = text[0] == (byte)'-' ? long.MinValue : long.MaxValue;
            return KeyHashOutcome.Ok;
        }

        var reader = new TimeText(text);
        if (!reader.TryNumber(4, 6, out var year) || !reader.Skip((byte)'-') || !reader.TryNumber(2, 2, out var month) || !reader.Skip((byte)'-') || !reader.TryNumber(2, 2, out var day))
        {
            return KeyHashOutcome.Unsupported;
        }

        long time = 0;
        long? offset = null;
        if (!reader._rest.IsEmpty && !reader.IsAtEra())
        {
            isDate = false;
            if (!reader.TryTime(out time) || !reader.TryOffset(out offset))
            {
                return KeyHashOutcome.Unsupported;
            }
        }

        if (year == 0)
        {
            return KeyHashOutcome.Unsupported;
        }

        if (reader.IsAtEra())
        {
            year = 1 - year;
            reader._rest = default;
        }

        if (!reader._rest.IsEmpty || year is < FirstYear or > LastYear || (isUtc == false && offset is null))
        {
            return KeyHashOutcome.Unsupported;
        }

        if (month is < 1 or > 12 || day < 1 || day > DaysIn(year, month))
        {
            return KeyHashOutcome.Invalid;
        }

        micros = (DaysOf(year, month, day) * MicrosPerDay) + time - (isUtc is null ? 0 : offset ?? 0);
        return KeyHashOutcome.Ok;
    }

    private readonly bool IsAtEra() => _rest.SequenceEqual(" BC"u8);

    private bool TryTime(out long micros)
    {
        micros = 0;
        if (!(Skip((byte)' ') || Skip((byte)'T')) || !TryNumber(2, 2, out var hour) || !Skip((byte)':') || !TryNumber(2, 2, out var minute) || hour > 23 || minute > 59)
        {
            return false;
        }

        long second = 0;
        long fraction = 0;
        if (Skip((byte)':'))
        {
            if (!TryNumber(2, 2, out second) || second > 59)
            {
                return false;
            }

            if (Skip((byte)'.'))
            {
                // More digits than the type keeps are rounded as floating-point numbers.
                var before = _rest.Length;
                if (!TryNumber(1, 6, out fraction))
                {
                    return false;
                }

                for (var digits = before - _rest.Length; digits < 6; digits++)
                {
                    fraction *= 10;
                }
            }
        }

        micros = ((((hour * 60) + minute) * 60) + second) * MicrosPerSecond + fraction;
        return true;
    }

    private bool TryOffset(out long? offset)
    {
        offset = null;
        if (Skip((byte)'Z'))
        {
            offset = 0;
            return true;
        }

        var rest = _rest;
        Skip((byte)' ');
        if (_rest.IsEmpty || _rest[0] is not ((byte)'+' or (byte)'-'))
        {
            _rest = rest;
            return true;
        }

        var isWest = _rest[0] == (byte)'-';
        _rest = _rest[1..];
        long minute = 0;
        long second = 0;
        var digits = _rest;
        _rest = digits[..Math.Min(2, digits.Length)];
        if (!TryNumber(2, 2, out var hour))
        {
            return false;
        }

        _rest = digits[2..];
        var hasColon = Skip((byte)':');
        if (hasColon || (_rest.Length > 0 && _rest[0] is >= (byte)'0' and <= (byte)'9'))
        {
            if (!TryNumber(2, 2, out minute) || (hasColon && Skip((byte)':') && !TryNumber(2, 2, out second)))
            {
                return false;
            }
        }

        if (hour > 15 || minute > 59 || second > 59)
        {
            return false;
        }

        var micros = ((((hour * 60) + minute) * 60) + second) * MicrosPerSecond;
        offset = isWest ? -micros : micros;
        return true;
    }

    private bool Skip(byte character)
    {
        if (_rest.IsEmpty || _rest[0] != character)
        {
            return false;
        }

        _rest = _rest[1..];
        return true;
    }

    private bool TryNumber(int minimum, int maximum, out long number)
    {
        number = 0;
        var count = 0;
        while (count < _rest.Length && _rest[count] is >= (byte)'0' and <= (byte)'9')
        {
            if (count == maximum)
            {
                return false;
            }

            number = (number * 10) + (_rest[count++] - '0');
        }

        _rest = _rest[count..];
        return count >= minimum;
    }

    private static int DaysIn(long year, long month) => month switch
    {
        2 => year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28,
        4 or 6 or 9 or 11 => 30,
        _ => 31,
    };

    /// <summary>Days since 2000-01-01 in the Gregorian calendar, also before it was made; year 0 is 1 BC.</summary>
    private static long DaysOf(long year, long month, long day)
    {
        // Years that begin in March have the leap day at their end.
        var y = month > 2 ? year : year - 1;
        var era = (y >= 0 ? y : y - 399) / 400;
        var yearOfEra = y - (era * 400);
        var dayOfYear = ((153 * (month + (month > 2 ? -3 : 9))) + 2) / 5 + day - 1;
        var dayOfEra = (yearOfEra * 365) + (yearOfEra / 4) - (yearOfEra / 100) + dayOfYear;
        const long FirstOfMarchYear0To2000 = 730_425;
        return (era * 146_097) + dayOfEra - FirstOfMarchYear0To2000;
    }
}
