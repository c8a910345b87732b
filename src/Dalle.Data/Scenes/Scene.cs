namespace Dalle.Data.Scenes;

/// <summary>What an object is; where it stands is not part of it.</summary>
public readonly record struct SceneObject(SceneColor Color, SceneShape Shape, SceneSize Size);

/// <summary>An object and its centre, in pixels from the top left corner of the picture.</summary>
public readonly record struct PlacedObject(SceneObject Object, double X, double Y);

/// <summary>What a caption asks for: one object, or a first object that stands in a relation to a second.</summary>
public sealed record SceneDescription
{
    public SceneDescription(SceneObject only) => First = only;

    public SceneDescription(SceneObject first, SceneRelation relation, SceneObject second)
    {
        First = first;
        Relation = relation;
        Second = second;
    }

    public SceneObject First { get; }

    /// <summary>Where the first object is, seen from the second; null when there is one object.</summary>
    public SceneRelation? Relation { get; }

    public SceneObject? Second { get; }

    /// <summary>Objects asked for: 1 or 2.</summary>
    public int Count => Second is null ? 1 : 2;

    /// <summary>The same scene described from its second object; a scene of one object is its own.</summary>
    public SceneDescription Reversed() =>
        Second is { } second && Relation is { } relation ? new SceneDescription(second, relation.Inverse(), First) : this;
}

/// <summary>A scene: what it shows and where each object stands, in the order of the description.</summary>
public sealed record Scene(SceneDescription Description, IReadOnlyList<PlacedObject> Objects);
