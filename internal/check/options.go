package check

import (
	"encoding"
	"fmt"
	"math"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// An Option is one option of a written check: its name and its value, which a
// file may give as a scalar, a list or a map and a URL as text.
type Option struct {
	// Name is the option's name, with underscores: max_age.
	Name string
	// Values are the texts of a scalar (one) or a list.
	Values []string
	// Pairs are the entries of a map, in the order written.
	Pairs [][2]string
	// IsMap is true for a map, which may be empty.
	IsMap bool
	// Secret is true when the value came from somewhere that secrets come
	// from, and must not be shown whatever the option.
	Secret bool
}

// ParseOptions reads options written as in a URL: name=value&name=value.
// Values are percent-decoded; a plus sign is a plus sign; a name alone is true.
// Its error joins every fault as an [*OptionError]; a value that can't be
// decoded is returned as it is.
func ParseOptions(text string) ([]Option, error) {
	var opts []Option
	var errs errorList
	for part := range strings.SplitSeq(text, "&") {
		if part == "" {
			continue
		}
		name, value, assigned := strings.Cut(part, "=")
		if !assigned {
			value = "true"
		}
		if decoded, err := url.PathUnescape(value); err == nil {
			value = decoded
		} else {
			at := name
			if !isOptionName(name) {
				at = "url" // it may be a part of a password
			}
			errs.option(at, "a %% that is not followed by two hexadecimal digits; write %%25 for %%")
		}
		if i := slices.IndexFunc(opts, func(o Option) bool { return o.Name == name }); i >= 0 {
			opts[i].Values = append(opts[i].Values, value)
			continue
		}
		opts = append(opts, Option{Name: name, Values: []string{value}})
	}
	return opts, errs.join()
}

// isOptionName reports whether a name has nothing but a-z, 0-9 and _.
func isOptionName(name string) bool {
	return name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

// lazily compiles an expression when it is first needed: a program that runs one
// check and ends has no use for most.
func lazily(expression string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}

// field is one option of a config struct.
type field struct {
	name, help string
	comma      bool
	where      bool
	index      []int
	typ        reflect.Type
}

// fieldsOf lists the options of a config struct: its fields tagged
// `option:"name"`, those of embedded structs included. With
// `option:"name,comma"` a list may also be given as one text with commas, and
// `option:"name,where"` is a text that says where the target is, in place of the
// URL's host.
// `help:"…"` explains it in one line.
func fieldsOf(t reflect.Type) []field {
	var fields []field
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous && f.Type.Kind() == reflect.Struct {
			for _, inner := range fieldsOf(f.Type) {
				inner.index = append([]int{i}, inner.index...)
				fields = append(fields, inner)
			}
			continue
		}
		tag, ok := f.Tag.Lookup("option")
		if !ok {
			continue
		}
		name, flag, _ := strings.Cut(tag, ",")
		fields = append(fields, field{
			name: name, help: f.Tag.Get("help"), comma: flag == "comma", where: flag == "where",
			index: []int{i}, typ: f.Type,
		})
	}
	return fields
}

var (
	durationType    = reflect.TypeFor[time.Duration]()
	unmarshalerType = reflect.TypeFor[encoding.TextUnmarshaler]()
	secretType      = reflect.TypeFor[Secret]()
)

// setOption stores the option's value in the field v. Its error never holds a
// secret value.
func (f field) setOption(v reflect.Value, o Option) error {
	err := f.set(v, o)
	if err != nil && o.Secret {
		return OptionErrorf(f.name, "its value, which is not shown, is not %s", f.wants())
	}
	return err
}

// set stores the option's value in the field v.
func (f field) set(v reflect.Value, o Option) error {
	switch {
	case v.Kind() == reflect.Map:
		return f.setMap(v, o)
	case o.IsMap:
		return OptionErrorf(f.name, "is a map; give %s", f.wants())
	case v.Kind() == reflect.Slice && !reflect.PointerTo(f.typ).Implements(unmarshalerType):
		list := o.Values
		if f.comma {
			list = nil
			for _, value := range o.Values {
				for part := range strings.SplitSeq(value, ",") {
					list = append(list, strings.TrimSpace(part))
				}
			}
		}
		v.Set(reflect.ValueOf(slices.Clone(list)).Convert(f.typ))
		return nil
	}
	if reflect.PointerTo(f.typ).Implements(unmarshalerType) {
		text := strings.Join(o.Values, ",")
		if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)); err != nil {
			return OptionErrorf(f.name, "%v", err)
		}
		return nil
	}
	if len(o.Values) != 1 {
		return OptionErrorf(f.name, "has %d values; give %s", len(o.Values), f.wants())
	}
	return f.setScalar(v, o.Values[0])
}

func (f field) setScalar(v reflect.Value, text string) error {
	wrong := func() error {
		return OptionErrorf(f.name, "%q is not %s", CleanText(text), f.wants())
	}
	switch {
	case f.typ == durationType:
		d, err := ParseDuration(text)
		if err != nil {
			return OptionErrorf(f.name, "%v", err)
		}
		v.SetInt(int64(d))
	case v.Kind() == reflect.String:
		v.SetString(text)
	case v.Kind() == reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return wrong()
		}
		v.SetBool(b)
	case v.CanInt():
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || v.OverflowInt(n) {
			return wrong()
		}
		v.SetInt(n)
	case v.CanFloat():
		x, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			return wrong()
		}
		v.SetFloat(x)
	default:
		panic(fmt.Sprintf("option %s has the unsupported type %v", f.name, f.typ))
	}
	return nil
}

// supported reports whether the field's type is one that an option can have: a
// string, bool, int, float or duration, a list of strings, a map of strings, or
// a type that reads itself from text.
func (f field) supported() bool {
	if reflect.PointerTo(f.typ).Implements(unmarshalerType) {
		return true
	}
	switch kind := f.typ.Kind(); kind {
	case reflect.String, reflect.Bool, reflect.Float32, reflect.Float64:
		return true
	case reflect.Slice:
		return f.typ.Elem().Kind() == reflect.String
	case reflect.Map:
		return f.typ.Key() == reflect.TypeFor[string]() && f.typ.Elem().Kind() == reflect.String
	default:
		return kind >= reflect.Int && kind <= reflect.Int64
	}
}

func (f field) setMap(v reflect.Value, o Option) error {
	pairs := o.Pairs
	if !o.IsMap {
		for _, value := range o.Values {
			i := strings.IndexAny(value, "=:")
			if i < 1 {
				// What follows the first word may be a token.
				word, _, _ := strings.Cut(strings.TrimSpace(value), " ")
				return OptionErrorf(f.name, "%q is not a name and a value; give NAME=VALUE", CleanText(word))
			}
			pairs = append(pairs, [2]string{strings.TrimSpace(value[:i]), strings.TrimSpace(value[i+1:])})
		}
	}
	m := reflect.MakeMap(f.typ)
	for _, pair := range pairs {
		key := reflect.ValueOf(pair[0])
		if m.MapIndex(key).IsValid() {
			return OptionErrorf(f.name, "%q is given twice", CleanText(pair[0]))
		}
		m.SetMapIndex(key, reflect.ValueOf(pair[1]).Convert(f.typ.Elem()))
	}
	v.Set(m)
	return nil
}

// wants says in words what the field takes.
func (f field) wants() string {
	switch {
	case reflect.PointerTo(f.typ).Implements(unmarshalerType):
		return "one value"
	case f.typ == durationType:
		return "a duration such as 500ms, 5s or 1h"
	case f.typ.Kind() == reflect.Bool:
		return "true or false"
	case f.typ.Kind() == reflect.Map:
		return "a map of names to values"
	case f.typ.Kind() == reflect.Slice:
		return "a list"
	case f.typ.Kind() >= reflect.Int && f.typ.Kind() <= reflect.Int64:
		return "a whole number"
	case f.typ.Kind() == reflect.Float32, f.typ.Kind() == reflect.Float64:
		return "a number"
	default:
		return "one value"
	}
}

// show gives the field's value as text, secrets masked. The field must be
// addressable.
func (f field) show(v reflect.Value) string {
	switch x := v.Addr().Interface().(type) {
	case *time.Duration:
		return x.String()
	case encoding.TextMarshaler:
		text, err := x.MarshalText()
		if err != nil {
			return ""
		}
		return string(text)
	case fmt.Stringer:
		return x.String()
	}
	switch v.Kind() {
	case reflect.Slice:
		return joinSlice(v)
	case reflect.Map:
		return joinMap(v)
	}
	return fmt.Sprint(v.Interface())
}

// written is the option as a configuration gives it, secrets masked, if it is a
// list or a map.
func (f field) written(v reflect.Value, secrets Secrets) (o Option, ok bool) {
	switch {
	case reflect.PointerTo(f.typ).Implements(unmarshalerType):
		return o, false
	case v.Kind() == reflect.Slice:
		o = Option{Name: f.name, Values: make([]string, v.Len())}
		for i := range o.Values {
			o.Values[i] = secrets.Mask(v.Index(i).String())
		}
		return o, true
	case v.Kind() == reflect.Map:
		o = Option{Name: f.name, IsMap: true}
		for _, key := range v.MapKeys() {
			value := secrets.Mask(v.MapIndex(key).String())
			if SecretName(key.String()) {
				value = Masked
			}
			o.Pairs = append(o.Pairs, [2]string{key.String(), value})
		}
		slices.SortFunc(o.Pairs, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
		return o, true
	}
	return o, false
}

func joinSlice(v reflect.Value) string {
	parts := make([]string, v.Len())
	for i := range parts {
		parts[i] = fmt.Sprint(v.Index(i).Interface())
	}
	return strings.Join(parts, ",")
}

// joinMap shows a map sorted by name; values whose names speak of secrets are
// masked.
func joinMap(v reflect.Value) string {
	var parts []string
	for _, key := range v.MapKeys() {
		value := fmt.Sprint(v.MapIndex(key).Interface())
		if SecretName(key.String()) {
			value = Masked
		}
		parts = append(parts, key.String()+"="+value)
	}
	slices.Sort(parts)
	return strings.Join(parts, ",")
}

// secretsIn returns what of the field's value must not be shown: all of a
// secret, a map's values whose names speak of secrets, and the passwords of
// URLs anywhere.
func (f field) secretsIn(v reflect.Value) []string {
	if f.typ == secretType {
		return []string{v.Interface().(Secret).Reveal()}
	}
	var values []string
	switch v.Kind() {
	case reflect.String:
		values = urlPasswords(v.String())
	case reflect.Slice:
		for i := range v.Len() {
			if text := v.Index(i); text.Kind() == reflect.String {
				values = append(values, urlPasswords(text.String())...)
			}
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			value := fmt.Sprint(v.MapIndex(key).Interface())
			if SecretName(key.String()) {
				values = append(values, value)
			} else {
				values = append(values, urlPasswords(value)...)
			}
		}
	}
	return values
}

// ParseDuration reads a duration in Go's form and says what is wrong with it
// otherwise.
func ParseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err == nil {
		return d, nil
	}
	if plainNumber().MatchString(text) {
		return 0, fmt.Errorf("%q has no unit; write %ss for seconds, %sms for milliseconds", text, text, text)
	}
	return 0, fmt.Errorf("%q is not a duration; write one such as 500ms, 5s or 1h", CleanText(text))
}

// plainNumber matches what is a duration but for its unit.
var plainNumber = lazily(`^[+-]?([0-9]{1,18}(\.[0-9]{0,18})?|\.[0-9]{1,18})$`)
