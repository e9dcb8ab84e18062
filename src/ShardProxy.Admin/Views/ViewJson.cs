using System.Text.Json;

namespace ShardProxy.Admin.Views;

/// <summary>
/// The table as JSON: an array with one object a row, named by column. Bigints beyond 2^53 do not occur in number columns: hash
/// bounds are text.
/// </summary>
internal static class ViewJson
{
    public static void Write(Utf8JsonWriter writer, ViewTable table)
    {
        writer.WriteStartArray();
        foreach (var row in table.Rows)
        {
            writer.WriteStartObject();
            for (var i = 0; i < table.Columns.Length; i++)
            {
                writer.WritePropertyName(table.Columns[i].Name);
                Write(writer, row[i]);
            }

            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }

    private static void Write(Utf8JsonWriter writer, object? value)
    {
        switch (value)
        {
            case null:
                writer.WriteNullValue();
                break;
            case string text:
                writer.WriteStringValue(text);
                break;
            case bool flag:
                writer.WriteBooleanValue(flag);
                break;
            case int number:
                writer.WriteNumberValue(number);
                break;
            case long number:
                writer.WriteNumberValue(number);
                break;
            case double number when double.IsFinite(number):
                writer.WriteNumberValue(number);
                break;
            case double:
                // JSON has no word for these.
                writer.WriteNullValue();
                break;
            case DateTimeOffset time:
                writer.WriteStringValue(time.UtcDateTime);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(value));
        }
    }
}
